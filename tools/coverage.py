#!/usr/bin/env python3
"""How much of lib/ the tests run: lines and branches of each file, and the total. Needs what tools/bazel has installed.

    python3 tools/coverage.py                       run the suite, print the table
    python3 tools/coverage.py --missed lib/task/job.c ...   the table of before, and what no test ran of these, and which sides no test took
    python3 tools/coverage.py -- //tests/net/...    of these tests alone

clang counts in the source, not in what the optimiser made of it; asserts are compiled out (see --config=coverage in .bazelrc). Tests tagged
external run none of lib/. Exit status 1 if a test or a goal below is missed.
"""

import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# The model checker watches asserts, and runs copies of the sources that are not counted.
DEFAULT_TARGETS = ["//tests/...", "-//tests/model/..."]

# Percent that the whole must have, and the files of which every branch is taken.
LINES_MIN, BRANCHES_MIN = 95.0, 90.0
EVERY_BRANCH = [
    "lib/base/parker.c",
    "lib/lockfree/inbox.c",
    "lib/lockfree/inbox.h",
    "lib/lockfree/injector.c",
    "lib/lockfree/job_stack.c",
    "lib/lockfree/job_stack.h",
    "lib/lockfree/ring.c",
    "lib/lockfree/ring.h",
    "lib/sched/crew.c",
    "lib/task/future.c",
]


def bazel(options, *words):
    return [os.path.join(ROOT, "tools/bazel")] + options.startup + list(words)


def run_tests(options, folder):
    """Run the tests with a profile each in `folder`; returns the folder of the programs, and whether all passed."""
    command = bazel(options, "test", "--config=coverage", "--run_under=//tools:coverage_run", "--test_env=WEFT_COVERAGE_DIR=" + folder)
    command += ["--nocache_test_results", "--test_tag_filters=-external", "--test_summary=terse", "--noshow_progress"]
    is_passed = subprocess.run(command + ["--"] + options.targets, cwd=ROOT, check=False).returncode == 0
    info = subprocess.run(bazel(options, "info", "--config=coverage", "bazel-bin"), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return info.stdout.strip(), is_passed


def is_program(path):
    with open(path, "rb") as stream:
        return stream.read(4) == b"\x7fELF"


def programs_of(folder, binaries):
    """The test programs that have left a profile: its name is theirs, see tools/coverage_run.sh. A script's are those that it ran."""
    names = {os.path.basename(path).split(".")[0] for path in glob.glob(folder + "/*.profraw")}
    for path in sorted(glob.glob(binaries + "/tests/**/*_test", recursive=True)):
        label = "//" + ":".join(os.path.split(os.path.relpath(path, binaries)))
        if "".join(c if c.isalnum() or c == "_" else "-" for c in label) in names and is_program(path):
            yield path


def export(folder, binaries):
    """What llvm-cov says about lib/, as its JSON."""
    merged = os.path.join(folder, "all.profdata")
    subprocess.run(["llvm-profdata", "merge", "-sparse", "-o", merged] + glob.glob(folder + "/*.profraw"), check=True)
    programs = list(programs_of(folder, binaries))
    command = ["llvm-cov", "export", "-instr-profile=" + merged, "-ignore-filename-regex=^(tests|bench|tools|bazel-out)/", programs[0]]
    command += [word for program in programs[1:] for word in ("-object", program)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout


def read(report):
    files = json.loads(report)["data"][0]["files"]
    return {entry["filename"]: entry for entry in files if entry["filename"].startswith("lib/")}


def percent(part):
    return 100.0 * part[0] / part[1] if part[1] else 100.0


def line_counts(entry):
    """Line -> how often it ran, as llvm-cov's own listing has it. (Its summary counts what the preprocessor left out as missed.)"""
    counts, around, segments = {}, None, entry["segments"]
    last = segments[-1][0] if segments else 0
    by_line = {}
    for segment in segments:
        by_line.setdefault(segment[0], []).append(segment)
    for line in range(segments[0][0] if segments else 1, last + 1):
        here = by_line.get(line, [])
        entries = [segment for segment in here if segment[3] and segment[4] and not segment[5]]
        is_left_out = bool(here) and here[0][4] and not here[0][3]
        if not is_left_out and (entries or (around and around[3])):
            counts[line] = max([segment[2] for segment in entries] + [around[2] if around and around[3] else 0])
        around = here[-1] if here else around
    return counts


def all_branches(entry):
    """(Line, column, place in a macro) -> times that it was true, and false. What is inlined or expanded at one place counts once."""
    sides = {}
    written = [((branch[0], branch[1]), branch) for branch in entry["branches"]]
    expanded = [((expansion["source_region"][0], expansion["source_region"][1], branch[0], branch[1]), branch)
                for expansion in entry.get("expansions", []) for branch in expansion["branches"]]
    for key, branch in written + expanded:
        taken = sides.setdefault(key, [0, 0])
        taken[0] += branch[4]
        taken[1] += branch[5]
    return sides


def lines_of(entry):
    counts = line_counts(entry)
    return sum(count > 0 for count in counts.values()), len(counts)


def branches_of(entry):
    sides = all_branches(entry)
    return sum((true > 0) + (false > 0) for true, false in sides.values()), 2 * len(sides)


def print_table(files):
    total = {"lines": (0, 0), "branches": (0, 0)}
    print("%-34s %17s %19s" % ("", "lines", "branches"))
    for name in sorted(files):
        parts = {"lines": lines_of(files[name]), "branches": branches_of(files[name])}
        total = {kind: (total[kind][0] + parts[kind][0], total[kind][1] + parts[kind][1]) for kind in total}
        print_row(name, parts)
    print_row("total", total)
    return total


def print_row(name, parts):
    lines, branches = parts["lines"], parts["branches"]
    print("%-34s %5d/%5d %5.1f  %5d/%5d %5.1f" % (name, *lines, percent(lines), *branches, percent(branches)))


def missed_in(entry):
    """Line, column and what never happened."""
    for line, count in line_counts(entry).items():
        if not count:
            yield line, 1, "run"
    for place, taken in all_branches(entry).items():
        for side, count in zip(("true", "false"), taken):
            if not count:
                yield place[0], place[1], side + (" (in a macro)" if len(place) > 2 else "")


def print_missed(name, entry):
    with open(os.path.join(ROOT, name), encoding="utf-8") as stream:
        source = stream.read().split("\n")
    for line, column, side in sorted(missed_in(entry)):
        print("%s:%d:%d: never %s: %s" % (name, line, column, side, source[line - 1].strip()))


def problems(files, total):
    """What goals are missed. A file that the report lacks has been moved, or no test has it: then nothing is known of its branches."""
    for name in EVERY_BRANCH:
        if name not in files:
            yield "%s: not in the report" % name
        elif percent(branches_of(files[name])) < 100:
            yield "%s: not every branch" % name
    if percent(total["lines"]) < LINES_MIN or percent(total["branches"]) < BRANCHES_MIN:
        yield "total: below %g %% of lines or %g %% of branches" % (LINES_MIN, BRANCHES_MIN)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--missed", nargs="+", default=[], metavar="FILE", help="read the last report; show what of these was missed")
    parser.add_argument("--report", default=os.path.join(tempfile.gettempdir(), "weft-coverage-%d.json" % os.getuid()), help="where it is kept")
    parser.add_argument("--startup", action="append", default=[], help="a startup option for Bazel")
    parser.add_argument("targets", nargs="*", help="what to test; all but the models if not given")
    options = parser.parse_args()
    options.targets = options.targets or DEFAULT_TARGETS
    is_passed = True
    if not options.missed:
        folder = tempfile.mkdtemp(prefix="weft-coverage-")
        try:
            binaries, is_passed = run_tests(options, folder)
            report = export(folder, binaries)
        finally:
            shutil.rmtree(folder)
        with open(options.report, "wb") as stream:
            stream.write(report)
    with open(options.report, "rb") as stream:
        files = read(stream.read())
    total = print_table(files)
    for name in options.missed:
        print_missed(name, files[name])
    missed_goals = list(problems(files, total))
    print(*missed_goals, sep="\n", end="\n" if missed_goals else "")
    return 0 if is_passed and not missed_goals else 1


if __name__ == "__main__":
    sys.exit(main())
