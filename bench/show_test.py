#!/usr/bin/env python3
"""What bench/show makes of figures and of profiles that are made up: who is held against whom, and how stacks are folded."""

import os
import sys
import xml.etree.ElementTree

sys.path.insert(0, "bench")  # the runfiles' folder, not the one that this file's link leads to
sys.dont_write_bytecode = True

import report  # noqa: E402
from show import answers as figures, flame, page, plots  # noqa: E402

# ---- figures ----

MACHINE = {"processor": "a chip, of a virtual machine", "processors": "2", "load": "3.0, 1.0, 0.5"}
PEER = "peer <1> | 2"


def line(who, median, case="fib", loops=1, unit="ms", runs=5):
    rest = {"min": median * 0.9, "max": median * 1.1, "runs": runs, "user_ns": None, "sys_ns": None, "syscalls": None}
    return {"bench": "fork_join", "case": case, "who": who, "loops": loops, "unit": unit, "median": median, **rest}


LINES = [
    line("weft", 2),
    line(PEER, 4),
    line("slow", 40),
    line("serial C", 1),
    line("weft", 3, loops=2),
    line("slow", 2, loops=2),
    line("weft", 6, case="echo_stream"),
    line("slow", 5, case="echo"),
    line("weft", 0, case="fib.stolen", unit="jobs"),
    {"who": "absent", "missing": "not installed: absent"},
]
ANSWERS = figures.Answers(LINES + [{"machine": MACHINE}])
ROWS = {(row.question.case, row.question.loops): row for row in ANSWERS.rows("fork_join")}
WARNINGS = list(report.caveats(ANSWERS, MACHINE))
MARKDOWN = "\n".join(report.markdown(ANSWERS, MACHINE, WARNINGS))
PAGE = "\n".join(page.page(ANSWERS, MACHINE, WARNINGS, {}))
SCRIPT = plots.script(ANSWERS, "fork_join", "out.png")


def compared(case, loops=1):
    row = ROWS[case, loops]
    value = figures.ratio(row.ours, row.peer_line)
    return row.peer, value and round(value, 2), row.limit


FIGURES = {
    "the best peer is the fastest one": (compared("fib"), (PEER, 0.5, "serial C")),
    "plain C is held against more loops, and is no peer": (compared("fib", 2), ("slow", 1.5, "serial C")),
    "a second way is held against the peers' one": (compared("echo_stream"), ("slow", 1.2, None)),
    "what nobody else has a figure of has no peer": (compared("fib.stolen"), (None, None, None)),
    "least values and processor time have ratios of their own": (
        (lambda row: (row.peer, row.least_ratio, row.cpu_ratio))(figures.Answers([
            {**line("weft", 4), "min": 3, "user_ns": 6},
            {**line("steady", 5), "min": 4.5, "user_ns": 8, "sys_ns": 4},
            {**line("jumpy", 6), "min": 2, "user_ns": None},
        ]).rows("fork_join")[0]), ("steady", 1.5, 0.5)),
    "raw programs are no peers": ([figures.is_limit(who) for who in ("raw epoll", "rawhide")], [True, False]),
    "five hundredths are level": ([figures.standing(value) for value in (0.94, 1.04, 1.06)], ["ahead", "level", "behind"]),
    "a tally counts those with a peer": (figures.tally(ANSWERS.ratios(["fork_join"])), "3 figures with a peer: ahead in 1, behind in 2"),
    "numbers have four digits": ([figures.number(value) for value in (0, 0.0123, 1.5, 12.345, 1234567)], ["0", "0.0123", "1.5", "12.35", "1,234,567"]),
    "a time has the unit that suits it": ([figures.amount(2.5, "us"), figures.amount(0.002, "ms"), figures.amount(7, "B")], ["2.5 µs", "2 µs", "7 B"]),
    "a plot has a bar for each answer": (sum(" ms (" in words or " µs (" in words for words in SCRIPT.split("\n")), 9),
    "what is alone has no plot": (plots.script(figures.Answers(LINES[:1]), "fork_join", "out.png"), None),
    "where weft is behind Markdown is bold": (["| **1.50** |" in MARKDOWN, "| 0.50 |" in MARKDOWN], [True, True]),
    "a bar in a name does not end a cell": ("peer <1> \\| 2" in MARKDOWN, True),
    "who is missing is named with the reason": (["absent: not installed" in MARKDOWN, "not installed: absent" in PAGE], [True, True]),
    "a name is text on the page": (["peer &lt;1&gt;" in PAGE, "<1>" in PAGE], [True, False]),
    "nothing is fetched by the page": (["http" in PAGE, " src=" in PAGE], [False, False]),
    "a load is a caveat": (any("busy" in warning for warning in WARNINGS), True),
    "few runs are a caveat": (["--quick" in "".join(report.caveats(figures.Answers([line("weft", 1, runs=runs)]), {})) for runs in (1, 5)], [True, False]),
}

# ---- profiles ----

PERF = """program-1  100     500000 
	    1010 leaf (/p/program)
	    2020 fib (/p/program)
	    2020 fib (/p/program)
	       0 [unknown] ([unknown])

program-2  101     250000 
	ffffffff81000130 entry of a call ([kernel.kallsyms])
	    7001 write (/usr/lib/libc.so.6)

"""
PLACES = """0x0000000000001010
small
/p/a.c:1
leaf
/p/a.c:9
0x000000000000201f
fib
/p/b.c:3
"""
CALLGRIND = """events: Ir
ob=/p/program
fl=/p/b.c
fn=fib'fib'main'0x1234
0 70
cob=/p/libc.so
cfn=write'fib'main
calls=1 5
0 30
fn=main'0x1234
0 5
ob=/p/libc.so
fn=write'fib'main
0 30
"""


def stacks(folded):
    return {";".join(frame.name for frame in stack): weight for stack, weight in folded.items()}


FOLDED = flame.fold(flame.perf_samples(PERF), "/p/program", flame.Inlined(PLACES))
COUNTED = flame.fold_callgrind(CALLGRIND, "/p/program")
OWN, WHOLE = flame.totals(COUNTED)
FIB = flame.Frame("fib", "program")
PICTURE = "\n".join(flame.svg(FOLDED, "a <title>", "how", "if (1 < 2) {}"))


def drawn():
    """The names of the frames, as a browser's parser finds them."""
    return [group.get("data-name") for group in xml.etree.ElementTree.fromstring(PICTURE).iter() if group.get("class") == "frame"]


PROFILES = {
    "recursion is one frame, and what was inlined is one": (stacks(FOLDED)["program-N;fib;leaf;small"], 500000),
    "a caller's frame is looked up where it called": (sorted(flame.Inlined.parse(PLACES)), [0x1010, 0x201f]),
    "threads that differ by a number are one": (stacks(FOLDED)["program-N;write;entry of a call"], 250000),
    "kinds follow from where code is": ([frame.kind for stack in FOLDED for frame in stack],
                                        ["thread", "program", "program", "inlined", "thread", "library", "kernel"]),
    "instructions are counted once": (stacks(COUNTED), {"main;fib": 70, "main": 5, "main;fib;write": 30}),
    "a function has its own and its callees' share": ((OWN[FIB], WHOLE[FIB]), (70, 100)),
    "what is spent in which kind of code is told": (flame.shares(COUNTED), "program 71.4 %, library 28.6 %"),
    "the list begins with the largest": (list(flame.top(COUNTED))[1].split(), ["66.67", "%", "95.24", "%", "fib"]),
    "the picture is well formed, and has all frames": (sorted(drawn()), ["all", "entry of a call", "fib", "leaf", "program-N", "small", "write"]),
}


def main():
    wrong = [f"{name}: {got!r} instead of {expected!r}" for name, (got, expected) in {**FIGURES, **PROFILES}.items() if got != expected]
    for problem in wrong:
        print(problem)
    print(f"{len(FIGURES) + len(PROFILES)} cases, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    assert os.path.isdir("bench/show"), "to be run from the top of the tree"
    sys.exit(main())
