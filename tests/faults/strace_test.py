#!/usr/bin/env python3
"""A sample of the table with the faults made by the kernel's own door: strace injects, and all comes to what it does by the shim.

Each case runs one scene twice, once under `strace -e inject=…` and once with the same rule in the shim; both must print the same, echo
included. Peers use other system calls than the library (read, write, accept), so that the numbers mean the library's calls.
"""

import errno
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"], "tests", "faults")
SAMPLE = os.path.join(HERE, "sample")

# Scene, system call, the C library's call, error, first, step (0: once).
CASES = [
    ("serve_tcp", "accept4", "accept4", "EINTR", 1, 0),
    ("serve_tcp", "accept4", "accept4", "ECONNABORTED", 3, 0),
    ("serve_tcp", "accept4", "accept4", "EMFILE", 2, 0),
    ("serve_tcp", "accept4", "accept4", "ENOBUFS", 1, 0),
    ("storm", "accept4", "accept4", "EPROTO", 2, 3),
    ("serve_tcp", "recvfrom", "recv", "EINTR", 2, 2),
    ("serve_tcp", "recvfrom", "recv", "ECONNRESET", 3, 0),
    ("serve_streams", "recvfrom", "recv", "ENOMEM", 1, 0),
    ("serve_tcp", "sendto", "send", "EINTR", 2, 2),
    ("serve_tcp", "sendto", "send", "EPIPE", 2, 0),
    ("serve_tcp", "sendto", "send", "ENOBUFS", 1, 0),
    ("serve_tcp", "listen", "listen", "EADDRINUSE", 2, 0),
    ("serve_tcp", "bind", "bind", "EACCES", 1, 0),
    ("serve_tcp", "epoll_pwait2", "epoll_pwait2", "EINTR", 2, 2),
    ("turns", "epoll_pwait2", "epoll_pwait2", "ENOSYS", 1, 0),
    ("turns", "epoll_pwait2", "epoll_pwait2", "EPERM", 1, 0),
    ("turns", "epoll_pwait2", "epoll_pwait2", "EBADF", 2, 0),
    ("wakes", "epoll_wait", "epoll_wait", "EINTR", 2, 2),
    ("loops", "epoll_create1", "epoll_create1", "EMFILE", 3, 0),
    ("loops", "eventfd2", "eventfd", "ENFILE", 2, 0),
    ("loops", "sched_getaffinity", "sched_getaffinity", "EINVAL", 1, 2),
    ("dial_tcp", "getsockopt", "getsockopt", "ENOBUFS", 2, 0),
    ("dial_tcp", "poll", "poll", "EINTR", 2, 2),
    ("half_close", "shutdown", "shutdown", "ENOTCONN", 2, 0),
    ("large", "sendmsg", "sendmsg", "EINTR", 2, 5),
    ("runs", "prctl", "prctl", "EINVAL", 1, 0),
]
SANITIZER = os.environ.get("WEFT_SANITIZER", "")
if SANITIZER != "tsan":  # it makes this call itself, and ends if it fails
    CASES.append(("stacks", "madvise", "madvise", "EINVAL", 1, 1))
if SANITIZER == "":  # both make this one, in each thread that ends
    CASES.append(("covered", "sigaltstack", "sigaltstack", "EPERM", 2, 2))


def run(command):
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")  # LeakSanitizer traces too
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def is_permitted(folder):
    log = os.path.join(folder, "probe")
    return run(["strace", "-o", log, "-e", "inject=getpid:error=EPERM", "true"])[0] == 0


def injected_count(log):
    with open(log, encoding="utf-8", errors="replace") as stream:
        return sum("(INJECTED)" in line for line in stream)


def complaint(case, folder):
    scene, system_call, call, error, first, step = case
    log = os.path.join(folder, "log")
    when = f"{first}+{step}" if step else f"{first}"
    inject = f"inject={system_call}:error={error}:when={when}"
    by_kernel = run(["strace", "-f", "-qq", "--seccomp-bpf", "-o", log, "-e", f"trace={system_call}", "-e", inject, SAMPLE, scene])
    by_shim = run([SAMPLE, scene, call, "-1", str(getattr(errno, error)), str(first), str(step)])
    if injected_count(log) == 0:
        return "strace injected nothing"
    if by_kernel[0] != 0:
        return f"under strace it ended with {by_kernel[0]}: {by_kernel[1]}"
    if by_kernel != by_shim:
        return f"by strace: {by_kernel[1]}by the shim: {by_shim[1]}"
    return None


def main():
    failed = 0
    if shutil.which("strace") is None:
        print("strace is not installed: tools/apt-packages.txt")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        if not is_permitted(folder):
            print(f"SKIPPED: {len(CASES)} cases: strace is there, and may not trace here")
            return 0
        for case in CASES:
            text = complaint(case, folder)
            failed += text is not None
            if text is not None:
                print(f"{case}: {text}")
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
