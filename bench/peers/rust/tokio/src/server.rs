//! The servers: an echo with a buffer of each connection's own, and hyper's HTTP/1.1. See bench/kit/serve.h.
//!
//! More than one loop are as many runtimes of one thread, each with a listening socket on the one port: no task is given away, and no queue is
//! shared.

use crate::lone_runtime;
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::server::conn::Http;
use hyper::service::service_fn;
use hyper::{Body, Request, Response};
use kit::serve::{announce, set_nodelay, Server};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const BACKLOG: u32 = 4096;

#[derive(Clone, Copy)]
enum Kind {
    Echo { buffer_bytes: usize },
    Http,
}

pub const SERVERS: &[Server] = &[
    Server { kind: "echo", serve: |loops| serve(loops, Kind::Echo { buffer_bytes: 4 << 10 }) },
    Server { kind: "bulk", serve: |loops| serve(loops, Kind::Echo { buffer_bytes: 64 << 10 }) },
    Server { kind: "http", serve: |loops| serve(loops, Kind::Http) },
];

async fn echo(mut stream: TcpStream, buffer_bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; buffer_bytes];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn hello(_request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Body::from("Hello, World!"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

async fn http(stream: TcpStream) {
    let _ = Http::new().http1_only(true).pipeline_flush(true).serve_connection(stream, service_fn(hello)).await;
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    set_nodelay(&socket);
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, kind: Kind) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        match kind {
            Kind::Echo { buffer_bytes } => drop(tokio::spawn(echo(stream, buffer_bytes))),
            Kind::Http => drop(tokio::spawn(http(stream))),
        }
    }
}

/// Serve `port`, or, if that is 0, one that `listening` is told.
fn run_loop(port: u16, kind: Kind, listening: impl FnOnce(u16)) {
    let runtime = lone_runtime();
    runtime.block_on(async {
        let listener = listen(port).expect("a port");
        listening(listener.local_addr().expect("an address").port());
        runtime.spawn(accept(listener, kind)).await.expect("a task").expect("a connection");
    });
}

fn serve(loops: u32, kind: Kind) {
    run_loop(0, kind, |port| {
        for _ in 1..loops {
            let (told, listens) = std::sync::mpsc::channel();
            thread::spawn(move || run_loop(port, kind, |_| told.send(()).expect("a listener")));
            listens.recv().expect("a loop");
        }
        announce(port);
    });
}
