#!/usr/bin/env python3
"""README.md keeps its word: its example echoes and computes on the port that it is given, Ctrl-C ends it well, and the names it gives exist."""

import glob
import os
import re
import signal
import socket
import subprocess
import time

ROOT = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
DEADLINE_S = 20


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port, process):
    end = time.monotonic() + DEADLINE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        except ConnectionRefusedError:
            assert process.poll() is None, "the example ended with %s" % process.returncode
            assert time.monotonic() < end, "nobody listens"
            time.sleep(0.01)


def receive(client, count):
    got = b""
    while len(got) < count:
        part = client.recv(count - len(got))
        assert part, "the connection ended after %d bytes" % len(got)
        got += part
    return got


def example_echoes_computes_and_ends():
    port = free_port()
    env = dict(os.environ, EXAMPLE_PORT=str(port))
    process = subprocess.Popen([os.path.join(ROOT, "tests/readme/example")], env=env)
    try:
        clients = [connect(port, process) for _ in range(8)]
        for number, client in enumerate(clients):
            message = b"hello from %d\n" % number * 1000
            client.sendall(message)
            assert receive(client, len(message)) == message
        for client in clients:
            client.sendall(b"27\nand on\n1\n10\n\n")
        for client in clients:
            answer = b"196418\nand on\n1\n55\n\n"  # an empty line is no number, also after one
            assert receive(client, len(answer)) == answer
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0, process.returncode
        for client in clients:
            client.close()
    finally:
        process.kill()


def names_exist():
    headers = "".join(read(path) for path in glob.glob(os.path.join(ROOT, "include/weft/*.h")))
    for name in sorted(set(re.findall(r"\b(?:weft|WEFT)_[A-Za-z0-9_]+", read("README.md")))):
        assert re.search(r"\b%s\b" % name, headers), "README.md says %s, and no header does" % name


def main():
    checks = [example_echoes_computes_and_ends, names_exist]
    for check in checks:
        check()
        print("ok:", check.__name__)
    print("%d passed, 0 failed" % len(checks))


if __name__ == "__main__":
    main()
