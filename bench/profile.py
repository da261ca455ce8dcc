#!/usr/bin/env python3
"""Where does the time go? Build a contestant for a profiler, run a bench under it, and leave a flame graph and the top functions.

    tools/bazel run //bench:profile -- NAME… [--loops=N] [--with=perf|callgrind] [--who=WHO] [--seconds=N] [--quick] [--unwind] [--out=FOLDER]

NAME is a bench or one of its cases, as //bench:run has them ("fork_join", "fork_join.fib"). The programs are built with --config=profile of
.bazelrc. perf samples the processor's cycles, or its clock where a machine counts no cycles; the bench is run again and again until enough
seconds are full. The callers of a system call are often lost in the C library, which keeps no frame pointers; --unwind finds them by tables,
from a copy of the stack for each of fewer samples. Where perf is missing or not permitted callgrind counts instructions, which is exact and fifty times as slow, and takes the
sizes of --quick. Of a server bench the server's process alone is watched, while bench/ask.c loads it. For each case the folder gets
<case>.svg, which any browser shows, and <case>.txt.
"""

import argparse
import collections
import os
import shutil
import subprocess
import sys
import tempfile
import time

TREE = os.environ.get("BUILD_WORKSPACE_DIRECTORY", os.getcwd())
sys.path.insert(0, os.path.join(TREE, "bench"))
sys.dont_write_bytecode = True
import peers as peer_table  # noqa: E402
import run  # noqa: E402
from show import flame  # noqa: E402

SAMPLES_PER_SECOND = {"fp": 3989, "dwarf,16384": 499}  # by how stacks are walked; not in step with anything that beats
EVENTS = ("cycles", "cpu-clock", "cpu-clock:u")
RUN_SECONDS_MAX, END_SECONDS_MAX = 1200, 60
LINES_SAID = 16

# Tells in file $0 that the command is done.
AND_TELL = '"$@"; : >"$0"'

Profile = collections.namedtuple("Profile", "folded how")
Watch = collections.namedtuple("Watch", "name client command")  # client: the words that start what starts the command; none if nothing does


def quiet(command):
    """Its standard output, if it succeeds."""
    return run.output_of(command, RUN_SECONDS_MAX)


# ---- what is run ----


def built_programs():
    """Where //bench:run's own contestants are, once they are built for a profiler. Bazel says why one is not; that is no matter for others."""
    names = ["ask", *run.OURS]
    labels = ["//" + os.path.dirname("bench/" + name) + ":" + os.path.basename(name) for name in names]
    bazel = os.path.join(TREE, "tools/bazel")
    subprocess.run([bazel, "build", "--config=profile", "--keep_going", *labels], cwd=TREE, check=False)
    found = subprocess.run([bazel, "info", "--config=profile", "bazel-bin"], cwd=TREE, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    run.ASK = os.path.join(found, "bench/ask")
    places = [(name, os.path.realpath(os.path.join(found, "bench", name))) for name in run.OURS]
    return [(name, place) for name, place in places if os.path.exists(place)]


def watches(contestant, options):
    loops = ["--loops", str(options.loops)]
    for bench, case, kind in contestant.cases:
        if run.is_wanted(options.names, bench, case):
            words = [bench, case, *loops] + ["--quick"] * options.quick
            if kind:
                yield Watch(f"{bench}.{case}", [run.ASK, *words, "--"], [contestant.program, "serve", kind, *loops])
            else:
                yield Watch(f"{bench}.{case}", [], [contestant.program, *words])


def run_under(tool, watch, place):
    """
    The client of servers kills what it has started at its end, and a killed profiler leaves nothing. In a session of its own it is out of
    reach; the server ends with its standard input, the profiler with the server.
    """
    if not watch.client:
        quiet([*tool, *watch.command])
        return
    done, end = os.path.join(place, "done"), time.monotonic() + END_SECONDS_MAX
    quiet([*watch.client, "setsid", "-w", "sh", "-c", AND_TELL, done, *tool, *watch.command])
    while not os.path.exists(done):
        if time.monotonic() > end:
            raise run.Failed(f"{watch.command[0]} does not end with its standard input")
        time.sleep(0.01)
    os.remove(done)


# ---- perf ----


def event():
    """What perf may sample here, or None."""
    if shutil.which("perf") is None and not peer_table.install(["linux-perf"]):
        return None
    with tempfile.TemporaryDirectory() as place:
        for name in EVENTS:
            command = ["perf", "record", "-q", "-N", "-e", name, "-o", os.path.join(place, "data"), "--", "true"]
            if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return name
    return None


def by_perf(watch, sampled, seconds, stacks):
    """perf itself may go from one event to another: it is asked which it was."""
    record = ["perf", "record", "-q", "-N", "--call-graph", stacks, "-F", str(SAMPLES_PER_SECOND[stacks]), "-e", sampled]
    texts, end, runs = [], time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory() as place:
        data = os.path.join(place, "data")
        while runs == 0 or time.monotonic() < end:
            run_under([*record, "-o", data, "--"], watch, place)
            texts.append(quiet(["perf", "script", "-i", data, "--no-inline", "-F", flame.PERF_FIELDS]))
            runs += 1
        used = quiet(["perf", "evlist", "-i", data]).split()[0]
    text = "\n".join(texts)
    count = sum(1 for _ in flame.perf_samples(text))
    return Profile(flame.fold_perf(text, watch.command[0]), f"perf, {used}, {count} samples of {runs} run{'s' * (runs != 1)}")


# ---- callgrind ----


def by_callgrind(watch):
    if shutil.which("valgrind") is None and not peer_table.install(["valgrind"]):
        sys.exit("neither perf nor valgrind can be used here: linux-perf and valgrind are Debian's packages")
    with tempfile.TemporaryDirectory() as place:
        out = os.path.join(place, "out")
        run_under(["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + out, *flame.CALLGRIND_OPTIONS], watch, place)
        with open(out, encoding="utf-8", errors="replace") as stream:
            folded = flame.fold_callgrind(stream.read(), watch.command[0])
    return Profile(folded, f"callgrind, {sum(folded.values()):,} instructions")


# ---- what is left ----


def write(path, lines):
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")


def leave(name, title, profile, folder):
    with open(os.path.join(TREE, "bench/show/flame.js"), encoding="utf-8") as stream:
        script = stream.read()
    picture, words = (os.path.join(folder, name + end) for end in (".svg", ".txt"))
    how = f"{profile.how}: {flame.shares(profile.folded)}"
    listed = [f"{title}: {how}", "", *flame.top(profile.folded)]
    write(picture, flame.svg(profile.folded, title, how, script))
    write(words, listed)
    print("\n".join([*listed[:LINES_SAID], words, picture, ""]))


def options_of(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="+", help="benches, or cases of them")
    parser.add_argument("--loops", type=int, default=1, help="how many loops or threads")
    parser.add_argument("--with", dest="tool", choices=("perf", "callgrind"), help="perf, unless it is missing or not permitted")
    parser.add_argument("--who", default="weft", help="whose program, as //bench:run names it; only what Bazel builds")
    parser.add_argument("--seconds", type=float, default=5, help="for how long perf watches, at least")
    parser.add_argument("--quick", action="store_true", help="small sizes; callgrind always takes these")
    parser.add_argument("--unwind", action="store_true", help="find the callers of the C library, too")
    parser.add_argument("--out", default="bench-profile", help="the folder")
    return parser.parse_args(words)


def main(words):
    options = options_of(words)
    sampled = None if options.tool == "callgrind" else event()
    if sampled is None and options.tool == "perf":
        sys.exit("perf is missing, or may not be used here: see /proc/sys/kernel/perf_event_paranoid")
    options.quick = options.quick or sampled is None
    folder = os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", "."), options.out)
    os.makedirs(folder, exist_ok=True)
    contestants = [each for each in run.contestants_of(built_programs(), []) if each.who == options.who]
    found = [watch for contestant in contestants for watch in watches(contestant, options)]
    if not found:
        sys.exit(f"{options.who} has no {', '.join(options.names)}: tools/bazel run -c opt //bench:run -- --list says what there is")
    for watch in found:
        profile = by_perf(watch, sampled, options.seconds, "dwarf,16384" if options.unwind else "fp") if sampled else by_callgrind(watch)
        leave(watch.name, f"{watch.name}, {options.who}, loops {options.loops}", profile, folder)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except run.Failed as failure:
        sys.exit(str(failure))
