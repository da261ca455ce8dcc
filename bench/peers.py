"""The peers: what each is made of, which packages it needs, and how it is built. bench/run.py asks for them.

A peer is a program in bench/peers/, in its own language, as bench/kit/kit.h describes it. Its packages are Debian's; the versions are theirs.
Nothing is fetched but packages: cargo and go are told to look at what Debian has installed, and nowhere else. A server that Debian's package
would start at once is not installed, but unpacked beside the built programs.

Words of a peer's commands may have {out}, the program to be made; {place}, a folder that is thrown away; {cache}, one that is kept; and
{version[PACKAGE]}. They run at the top of the tree.
"""

import collections
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile

C_FLAGS = ["-O3", "-DNDEBUG", "-D_GNU_SOURCE", "-I.", "-Wall", "-Wextra"]

Peer = collections.namedtuple("Peer", "name packages commands sources unpacked", defaults=[()])

# What has no use for more than one thread.
SINGLE = ("serial C",)


# The workloads in plain C, and what measures them.
COMPUTE = ["bench/kit/kit.c", "bench/kit/compute.c"] + ["bench/workloads/" + name + ".c" for name in (
    "fib_serial", "matmul", "matmul_serial", "parallel_for_serial", "queens_serial", "sha1", "skynet_serial", "uts", "uts_serial", "workload")]


def c_peer(name, packages, compiler, source, options):
    """One file of its own, and the workloads. C++ takes those as objects of gcc."""
    if source.endswith(".c"):
        return Peer(name, packages, [[compiler, "-std=c11", *C_FLAGS, source, *COMPUTE, "-o", "{out}", *options, "-lm"]], [source, *COMPUTE])
    objects = ["{out}." + os.path.basename(part) + ".o" for part in COMPUTE]
    commands = [["gcc", "-std=c11", *C_FLAGS, "-c", part, "-o", out] for part, out in zip(COMPUTE, objects)]
    return Peer(name, packages, [*commands, [compiler, "-std=c++17", *C_FLAGS, source, *objects, "-o", "{out}", *options, "-lm"]], [source, *COMPUTE])


def kit_peer(name, package, source, kit, options=()):
    """One file of its own, which has a library, and what the kit has for its questions. Several may have one name: they are asked for together."""
    parts = ["bench/kit/" + part + ".c" for part in ("kit", *kit)]
    version = ["-DLIBRARY_VERSION=\"{version[" + package + "]}\""] if package else []
    objects = ["{place}/" + os.path.basename(part) + ".o" for part in parts]
    commands = [["gcc", "-std=c11", *C_FLAGS, "-c", part, "-o", out] for part, out in zip(parts, objects)]
    compiler = ["gcc", "-std=c11"] if source.endswith(".c") else ["g++", "-std=c++17"]
    commands += [[*compiler, *C_FLAGS, *version, "bench/peers/" + source, *objects, "-o", "{out}", "-pthread", *options]]
    headers = [part[:-2] + ".h" for part in parts]
    return Peer(name, ["g++", package] if package else ["gcc"], commands, ["bench/peers/" + source, *parts, *headers])


def server_peer(name, package, source, options):
    """The same for one that serves, with the kit's HTTP."""
    peer = kit_peer(name, package, source, ["serve", "service", "http_text"], [*options, "-lhttp_parser"])
    return peer._replace(packages=[*peer.packages, "libhttp-parser-dev"])


def sources_under(folder_name, suffixes):
    """Paths from the top of the tree."""
    tree = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = (os.path.join(path, name) for path, _, names in os.walk(os.path.join(tree, folder_name)) for name in names)
    return sorted(os.path.relpath(path, tree) for path in found if path.endswith(suffixes))


def go_peer():
    environment = ["GOCACHE={cache}/go", "GOPATH={place}/go", "GOPROXY=off", "GOTOOLCHAIN=local", "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0"]
    build = ["env", "-C", "bench/peers/go", *environment, "go", "build", "-trimpath", "-o", "{out}", "."]
    return Peer("go", ["golang-go"], [build], sources_under("bench/peers/go", (".go", ".mod")))


def rust_peer(name, packages):
    """A crate of its own beside the kit's. cargo writes a lock file, which would be in the way of another machine's versions."""
    environment = ["-u", "RUSTFLAGS", "CARGO_HOME={cache}/cargo", "RUSTC=/usr/bin/rustc", "PEER_VERSION={version[" + packages[0] + "]}"]
    debian = ["--config", 'source.crates-io.replace-with="debian"', "--config", 'source.debian.directory="/usr/share/cargo/registry"']
    crate = ["--manifest-path", "{place}/rust/" + name + "/Cargo.toml", "--target-dir", "{cache}/rust"]
    build = ["env", *environment, "/usr/bin/cargo", *debian, "build", "--release", "--offline", "--quiet", *crate]
    commands = [["cp", "-r", "bench/peers/rust", "{place}/rust"], build, ["cp", "{cache}/rust/release/" + name + "_peer", "{out}"]]
    sources = [*sources_under("bench/peers/rust/kit", (".rs", ".toml")), *sources_under("bench/peers/rust/" + name, (".rs", ".toml"))]
    return Peer(name, ["cargo", "librust-libc-dev", *packages], commands, sources)


def web_peer(name, libraries):
    """A server of Debian's, which the wrapper knows by its name. It asks for the version itself, so no package of it need be installed."""
    source = "bench/peers/web_server.py"
    return Peer(name, ["python3", *libraries], [["cp", source, "{out}"]], [source], unpacked=[name])


PEERS = [
    c_peer("tbb", ["libtbb-dev"], "g++", "bench/peers/tbb.cc", ["-ltbb"]),
    c_peer("libgomp", ["gcc"], "gcc", "bench/peers/openmp.c", ["-fopenmp"]),
    c_peer("libomp", ["clang", "libomp-dev"], "clang", "bench/peers/openmp.c", ["-fopenmp"]),
    rust_peer("rayon", ["librust-rayon-dev"]),
    rust_peer("tokio", ["librust-tokio-dev", "librust-hyper-dev"]),
    go_peer(),
    web_peer("nginx", ["libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g"]),
    web_peer("h2o", ["libgcc-s1", "libssl3", "libstdc++6", "libyaml-0-2", "zlib1g"]),
    kit_peer("raw", "", "raw_switch.c", []),
    kit_peer("raw", "", "raw_post.c", ["posters"]),
    kit_peer("raw", "", "raw_timers.c", ["alarms"]),
    kit_peer("raw", "", "raw_registry.c", []),
    kit_peer("raw", "", "raw_spawn_join.c", []),
    kit_peer("raw-write", "", "raw_post.c", ["posters"], ["-DRAW_WRITE_EACH"]),
    *(kit_peer(name, "", "raw_ping_pong.c", ["bind"], [f"-DRAW_WAY={way}"]) for way, name in enumerate(("raw-eventfd", "raw-epoll", "raw-futex", "raw"))),
    kit_peer("swapcontext", "", "swapcontext.c", []),
    kit_peer("boost", "libboost-context-dev", "context.cc", [], ["-lboost_context"]),
    kit_peer("boost", "libboost-fiber-dev", "boost_fiber.cc", [], ["-lboost_fiber", "-lboost_context"]),
    kit_peer("boost", "libboost-dev", "asio_tasks.cc", [], ["-std=c++20"]),
    kit_peer("boost", "libboost-dev", "asio_timers.cc", ["alarms"]),
    kit_peer("boost", "libboost-dev", "asio_post.cc", ["bind", "posters"]),
    kit_peer("libuv", "libuv1-dev", "libuv_timers.c", ["alarms"], ["-luv"]),
    kit_peer("libuv", "libuv1-dev", "libuv_post.c", ["bind", "posters"], ["-luv"]),
    kit_peer("libevent", "libevent-dev", "libevent_timers.c", ["alarms"], ["-levent_core"]),
    kit_peer("libev", "libev-dev", "libev_timers.c", ["alarms"], ["-lev"]),
    server_peer("libuv", "libuv1-dev", "libuv_serve.c", ["-luv"]),
    server_peer("libevent", "libevent-dev", "libevent_serve.c", ["-levent_core"]),
    server_peer("libev", "libev-dev", "libev_serve.c", ["-lev"]),
    server_peer("boost", "libboost-dev", "asio_serve.cc", []),
]


def is_installed(package):
    status = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            check=False)
    return status.stdout == "installed"


def install(packages):
    """True if they are there now. Nobody is asked for a password."""
    command = ["apt-get", "-q", "-y", "install", "--no-install-recommends", *packages]
    if os.geteuid() != 0:
        command = ["sudo", "-n", *command]
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"),
                          check=False).returncode == 0


def unpack(package):
    """True if it is there now, installed or unpacked, and none of its services was started."""
    target = os.path.join(folder(), "unpacked", package)
    if is_installed(package) or os.path.isdir(target):
        return True
    with tempfile.TemporaryDirectory(dir=folder()) as place:
        quiet = {"cwd": place, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
        if shutil.which("apt-get") is None or subprocess.run(["apt-get", "-q", "download", package], **quiet).returncode != 0:
            return False
        archives = [name for name in os.listdir(place) if name.endswith(".deb")]
        if len(archives) != 1 or subprocess.run(["dpkg-deb", "-x", archives[0], "all"], **quiet).returncode != 0:
            return False
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(os.path.join(place, "all"), target)
    return True


class Versions(dict):
    """What upstream calls the version of an installed package."""

    def __missing__(self, package):
        shown = subprocess.run(["dpkg-query", "-W", "-f", "${source:Upstream-Version}", package], stdout=subprocess.PIPE, text=True, check=False)
        return shown.stdout


def folder():
    path = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "weft-bench")
    os.makedirs(path, exist_ok=True)
    return path


def problem_of(command, tree):
    """What a command that failed has said, or why it could not begin; None if all is well."""
    try:
        done = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError as error:
        return str(error)
    return None if done.returncode == 0 else done.stdout.strip()[-400:] or f"{command[0]} ended with {done.returncode}"


def label_of(peer):
    """Several programs may go by one name."""
    is_alone = sum(other.name == peer.name for other in PEERS) == 1
    return peer.name if is_alone else f"{peer.name} ({os.path.basename(peer.sources[0])})"


def built(peer, tree):
    """The program, made anew when a source, a package or the command is another one; and why there is none."""
    versions = Versions()
    digest = hashlib.sha256(repr((peer.commands, [versions[package] for package in peer.packages])).encode())
    for source in peer.sources:
        with open(os.path.join(tree, source), "rb") as stream:
            digest.update(stream.read())
    out = os.path.join(folder(), f"{peer.name}-{digest.hexdigest()[:16]}")
    if os.path.exists(out):
        return out, None
    with open(os.path.join(folder(), "lock"), "w", encoding="utf-8") as lock, tempfile.TemporaryDirectory(dir=folder()) as place:
        fcntl.flock(lock, fcntl.LOCK_EX)  # what cargo keeps is everybody's, so who builds something else at the same time waits
        for command in peer.commands:
            command = [word.format(out=os.path.join(place, "peer"), place=place, cache=folder(), version=versions) for word in command]
            problem = problem_of(command, tree)
            if problem is not None:
                return None, "it does not build: " + problem
        os.chmod(os.path.join(place, "peer"), 0o755)
        shutil.move(os.path.join(place, "peer"), out)
    return out, None


def ready(tree, wanted):
    """The programs of the wanted peers, and who is missing, with the reason."""
    programs, missing = [], []
    for peer in PEERS:
        if wanted == "none" or wanted != "all" and peer.name not in wanted.split(","):
            continue
        absent = [package for package in peer.packages if not is_installed(package)]
        if absent and not install(absent):
            missing.append((label_of(peer), "not installed: " + " ".join(absent)))
            continue
        absent = [package for package in peer.unpacked if not unpack(package)]
        if absent:
            missing.append((label_of(peer), "neither installed nor to be had: " + " ".join(absent)))
            continue
        program, why = built(peer, tree)
        if program is None:
            missing.append((label_of(peer), why))
        else:
            programs.append(program)
    return programs, missing
