#!/usr/bin/env python3
"""nginx and h2o as contestants that serve, as bench/kit/serve.h describes it: a configuration, and the program in the foreground.

A copy of this file is named after its server, "nginx-…" or "h2o-…". Debian's package is used if it is installed, and else what bench/peers.py
has unpacked beside the copy. The server's folder is thrown away as soon as the server has read what is in it, so that nothing is left behind
whatever ends it; the body that h2o reads for each answer is kept beside the copy.
"""

import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = re.match(r"[a-z0-9]*", os.path.basename(__file__)).group()
BODY = "Hello, World!"
START_SECONDS_MAX = 10

# One process if one is enough. More have a listening socket each.
NGINX = """
daemon off;
master_process {master};
worker_processes {loops};
pid {folder}/pid;
error_log stderr emerg;
events {{ worker_connections 16384; accept_mutex off; multi_accept on; }}
http {{
    access_log off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    default_type text/plain;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096 {reuse};
        location / {{ return 200 "{body}"; }}
    }}
}}
"""

H2O = """
listen: {{ host: 127.0.0.1, port: {port} }}
{user}
num-threads: {loops}
max-connections: 16384
http1-request-timeout: 3600
error-log: /dev/null
hosts:
  default:
    paths:
      "/":
        file.file: {kept}
        file.mime.setdefaulttype: text/plain
"""


def program():
    """Where it is. A server of Debian may not be on everybody's path."""
    places = [os.path.join(root, folder, NAME) for root in ("/usr", os.path.join(HERE, "unpacked", NAME, "usr")) for folder in ("sbin", "bin")]
    for place in places:
        if os.access(place, os.X_OK):
            return place
    sys.exit(f"{NAME} is not there")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False


def body_file():
    path = os.path.join(HERE, "hello.txt")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(BODY)
    return path


def configuration(folder, port, loops):
    if NAME == "nginx":
        master, reuse = ("on", "reuseport") if loops > 1 else ("off", "")
        return NGINX.format(folder=folder, port=port, loops=loops, body=BODY, master=master, reuse=reuse)
    user = "user: root" if os.geteuid() == 0 else ""  # else it becomes nobody, who may not read everybody's files
    return H2O.format(port=port, loops=loops, kept=body_file(), user=user)


def start(folder, port, loops):
    path = os.path.join(folder, "configuration")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(configuration(folder, port, loops))
    words = ["-p", folder, "-e", "stderr", "-c", path] if NAME == "nginx" else ["-c", path]
    return subprocess.Popen([program(), *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def serve(loops):
    """Announce the port when it answers; end with the standard input, or with the server."""
    port = free_port()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    with tempfile.TemporaryDirectory() as folder:
        server = start(folder, port, loops)
        until = time.monotonic() + START_SECONDS_MAX
        while not is_listening(port):
            if server.poll() is not None or time.monotonic() > until:
                server.kill()
                sys.exit(f"{NAME} does not serve")
            time.sleep(0.01)
    print(f"port {port}", flush=True)
    while os.read(0, 4096):
        pass
    end(server)


def end(server):
    """nginx takes its processes along. h2o would wait for its clients, and has but one."""
    if NAME == "nginx":
        server.terminate()
    else:
        server.kill()
    server.wait()


def who():
    shown = subprocess.run([program(), "-v"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return f"{NAME} " + re.search(r"\d+(\.\d+)+", shown.stdout).group()


def main(words):
    if words == ["--who"]:
        print(who())
    elif words == ["--list"]:
        print("serve http")
    elif words[:2] == ["serve", "http"] and (len(words) == 2 or len(words) == 4 and words[2] == "--loops"):
        serve(int(words[3]) if len(words) == 4 else 1)
    else:
        sys.exit("--who | --list | serve http [--loops N]")


if __name__ == "__main__":
    main(sys.argv[1:])
