//! Serve: what makes a program in Rust a contestant that serves, as bench/kit/serve.h describes it.

use std::os::unix::io::AsRawFd;

/// A kind of server, which serves in so many threads until the process ends.
pub struct Server {
    pub kind: &'static str,
    pub serve: fn(u32),
}

/// Tell the port to who waits for it.
pub fn announce(port: u16) {
    println!("port {port}");
}

/// Send at once, whatever is under way. What a listener accepts inherits it.
pub fn set_nodelay(socket: &impl AsRawFd) {
    let (on, len) = (1 as libc::c_int, std::mem::size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the value is as large as is said.
    unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY, (&on as *const libc::c_int).cast(), len)
    };
}

extern "C" fn take_input(_number: libc::c_int) {
    let mut bytes = [0u8; 64];
    // SAFETY: both calls may be made in a handler; the buffer is as large as is said.
    unsafe {
        loop {
            match libc::read(libc::STDIN_FILENO, bytes.as_mut_ptr().cast(), bytes.len()) {
                0 => libc::_exit(0),
                count if count < 0 => return,
                _ => (),
            }
        }
    }
}

/// The end of the standard input comes as a signal: a thread that waits for it would make each use of a descriptor dearer, since the kernel
/// counts references where threads share descriptors.
pub fn end_with_input() {
    // SAFETY: the handler keeps to what handlers may do.
    unsafe {
        if libc::isatty(libc::STDIN_FILENO) == 1 {
            return;
        }
        libc::signal(libc::SIGIO, take_input as extern "C" fn(libc::c_int) as libc::sighandler_t);
        libc::fcntl(libc::STDIN_FILENO, libc::F_SETOWN, libc::getpid());
        libc::fcntl(libc::STDIN_FILENO, libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK);
    }
    take_input(libc::SIGIO); // it may have ended before
}

/// Each connection is a descriptor.
pub fn raise_descriptor_limit() {
    // SAFETY: the limits are read and written as they were.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}
