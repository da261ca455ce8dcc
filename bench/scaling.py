#!/usr/bin/env python3
"""Say what an operation costs with one loop and with sixty-four: bench/scale.c, for each number of loops, its instructions under callgrind,
and how many compare-and-swaps failed.

    tools/bazel run -c opt //bench:scaling -- [CASE…] [--loops=LIST] [--no-instructions]

Instructions per operation are the difference of a long and a short run, over the difference of their operations: what begins and ends a run is in
neither. Callgrind runs one thread at a time, by turns, so that they are those of a machine with one processor. Compare-and-swaps that fail are
counted by another build of the library, by gcc alone, in which bench/peers/failed_swaps.h comes first; its time is not in the table.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys

TREE = os.environ.get("BUILD_WORKSPACE_DIRECTORY", os.getcwd())
sys.path.insert(0, os.path.join(TREE, "bench"))
import peers as peer_table  # noqa: E402

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scale")
CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--fair-sched=try"]
COUNTS = ("wakes", "summons", "vain_summons", "steals", "stolen_jobs", "searches", "parks", "polls")
SECONDS_MAX = 600


def counting_program():
    """The same program with a library that counts; None, and why, if it does not build."""
    switch = f"lib/task/fiber_switch_{platform.machine()}.S"
    sources = [*peer_table.sources_under("lib", (".c",)), switch, "bench/scale.c", "bench/kit/kit.c", "bench/kit/tasks.c"]
    headers = [path for folder in ("lib", "include", "bench") for path in peer_table.sources_under(folder, (".h",))]
    options = ["-std=c11", *peer_table.C_FLAGS, "-Iinclude", "-include", "bench/peers/failed_swaps.h"]
    command = ["gcc", *options, *sources, "-o", "{out}", "-lck", "-pthread", "-lm"]
    return peer_table.built(peer_table.Peer("scale", ["gcc", "libck-dev"], [command], [*sources, *headers]), TREE)


def run(case, loops, is_quick, before=(), program=PROGRAM):
    command = [*before, program, "scale", case, "--loops", str(loops)] + ["--quick"] * is_quick
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=SECONDS_MAX, check=True)


def figures(case, loops, program=PROGRAM):
    """By the last word of their case; that of the case itself has the processor time too."""
    lines = [json.loads(line) for line in run(case, loops, False, program=program).stdout.splitlines()]
    return {line["case"].partition(".")[2]: line for line in lines}


def instructions(case, loops):
    """Per operation."""
    collected, operations = [], []
    for is_quick in (True, False):
        done = run(case, loops, is_quick, CALLGRIND)
        collected.append(int(re.search(r"Collected : (\d+)", done.stderr).group(1)))
        operations.append(next(line["value"] for line in map(json.loads, done.stdout.splitlines()) if line["unit"] == "operations"))
    return (collected[1] - collected[0]) / (operations[1] - operations[0])


def row(case, loops, counts_instructions, counting):
    found = figures(case, loops)
    time = found[""]
    counted = [f"{instructions(case, loops):.0f}"] if counts_instructions else []
    failed = [f"{figures(case, loops, counting)['failed_swaps']['value']:.4f}"] if counting else []
    return [str(loops), f"{time['value']:.0f}", f"{time['user_ns'] + time['sys_ns']:.0f}", *counted,
            *(f"{found[name]['value']:.4f}" for name in COUNTS), *failed]


def print_case(case, loops_list, counts_instructions, counting):
    header = ["loops", "ns", "CPU ns", *["instructions"] * counts_instructions, *COUNTS, *["failed_swaps"] * bool(counting)]
    print(f"{case}, per operation")
    print("  ".join(f"{word:>12}" for word in header))
    for loops in loops_list:
        print("  ".join(f"{word:>12}" for word in row(case, loops, counts_instructions, counting)), flush=True)


def main(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("cases", nargs="*", help="of bench/scale.c; all but trickle, which mostly sleeps")
    parser.add_argument("--loops", default="1,2,4,8,16,32,64", help="with commas between")
    parser.add_argument("--no-instructions", action="store_true", help="do without callgrind")
    options = parser.parse_args(words)
    can_count = not options.no_instructions and (shutil.which("valgrind") is not None or peer_table.install(["valgrind"]))
    if not can_count and not options.no_instructions:
        print("no instructions: valgrind is not installed", file=sys.stderr)
    counting, why = counting_program()
    if counting is None:
        print(f"no failed swaps: {why}", file=sys.stderr)
    for case in options.cases or ["burst", "pairs", "jobs", "posts", "mixture"]:
        print_case(case, [int(word) for word in options.loops.split(",")], can_count, counting)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
