#!/usr/bin/env python3
"""Let weft and its peers answer the benches' questions in turn, and say what each of them answered.

    tools/bazel run -c opt //bench:run -- [NAME…] [--peers=all|none|LIST] [--loops=LIST] [--rounds=N] [--json=FILE] [--patience=SECONDS] [--quick] [--list]

NAME is a bench ("fork_join") or one of its cases ("fork_join.fib"); none means all. A contestant is a program as bench/kit/kit.h describes it.
One case comes after the other. In each of its rounds each contestant runs it once, so that the machine's mood is everybody's; a first round, of
a small size, warms the machine up and does not count. One that serves (bench/kit/serve.h) is started anew for each run, and asked through
bench/ask.c. A peer is built when it is asked for, and its packages (bench/peers/apt-packages.txt) are installed if that may be done; one that is
missing, or cannot do its work on this machine, is named with the reason; so is one that takes longer for a run than patience allows, and that
question is not put to it again. A run that ends with an error has no figure, and is the run's failure.
A case's figures are in the file as soon as its rounds are over, and who interrupts the whole, or ends it, gets what there is.

The table's last columns are weft's median as a multiple of the best peer's, and of the best raw program's or plain C's, which are the limit.
Where weft has a second way to do something (a stream, spinning) that is held against the others' one way.
"""

import argparse
import collections
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys

TREE = os.environ.get("BUILD_WORKSPACE_DIRECTORY", os.getcwd())
sys.path.insert(0, os.path.join(TREE, "bench"))
import peers as peer_table  # noqa: E402
from show import answers, machine  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ASK = os.path.join(HERE, "ask")
OURS = ("fork_join", "spawn_join", "begin", "stack_switch", "yield", "ping_pong", "post", "timers", "registry", "memory",
        "servers/weft", "servers/epoll", "servers/uring", "peers/serial")
PATIENCE_SECONDS = 600
KEYS = ("bench", "case", "who", "loops", "unit", "median", "min", "max", "runs", "user_ns", "sys_ns", "syscalls")

Case = collections.namedtuple("Case", "bench name kind")
Contestant = collections.namedtuple("Contestant", "who program cases")
Turn = collections.namedtuple("Turn", "contestant bench case loops kind")


class Failed(Exception):
    """A contestant did not do what it was asked; the text says who and how."""


def output_of(command, timeout=60):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, check=False)
    except OSError as error:
        raise Failed(str(error)) from error
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    return done.stdout


def cases_of(program, asked):
    """What it lists; and for each kind of server that it lists, what the client of all servers asks of that kind."""
    listed = [tuple(line.split()) for line in output_of([program, "--list"]).splitlines()]
    kinds = [name for bench, name in listed if bench == "serve"]
    cases = [Case(bench, name, None) for bench, name in listed if bench != "serve"]
    for case in asked:
        kind = "echo" if case.kind == "bulk" and "bulk" not in kinds else case.kind
        if kind in kinds:
            cases.append(case._replace(kind=kind))
    return cases


def contestants_of(programs, missing):
    """One that cannot say what it does is missing."""
    asked = [Case(*line.split()) for line in output_of([ASK, "--list"]).splitlines()]
    for name, program in programs:
        try:
            yield Contestant(output_of([program, "--who"]).strip(), program, cases_of(program, asked))
        except Failed as error:
            missing.append((name, str(error)))


# ---- what is asked of whom ----


def is_wanted(names, bench, case):
    return not names or bench in names or f"{bench}.{case}" in names


def first_way(turn):
    """The question that it answers; weft's second ways to do something answer the same one."""
    return turn.bench, answers.SECOND_WAY.sub("", turn.case)


def questions_of(contestants, options):
    """For each question the turns of a round: those that stand side by side in the table are taken one after the other."""
    turns = []
    for each in contestants:
        for bench, case, kind in each.cases:
            if is_wanted(options.names, bench, case):
                for loops in [1] if each.who in peer_table.SINGLE else options.loops:
                    turns.append(Turn(each, bench, case, loops, kind))
    found = {}
    for turn in sorted(turns, key=lambda turn: turn.loops):
        found.setdefault(first_way(turn), []).append(turn)
    return [found[question] for question in dict.fromkeys(map(first_way, turns))]


def take(turn, is_quick, seconds_max):
    """One run: the figures that it prints."""
    loops = ["--loops", str(turn.loops)]
    command = [ASK if turn.kind else turn.contestant.program, turn.bench, turn.case, *loops] + ["--quick"] * is_quick
    if turn.kind:
        command += ["--", turn.contestant.program, "serve", turn.kind, *loops]
    return [json.loads(line) for line in output_of(command, seconds_max).splitlines()]


# ---- figures ----


class Figures:
    """What was measured, by question and who answered, in the order in which it first came."""

    def __init__(self):
        self.found = {}

    def add(self, who, figure):
        key = (figure["bench"], figure["case"], who, figure["loops"], figure["unit"])
        self.found.setdefault(key, []).append(figure)

    def lines(self):
        for key, runs in self.found.items():
            values = [run["value"] for run in runs]
            numbers = (statistics.median(values), min(values), max(values), len(values))
            rest = tuple(self.median_of(runs, name) for name in ("user_ns", "sys_ns", "syscalls"))
            yield dict(zip(KEYS, key + numbers + rest))

    @staticmethod
    def median_of(runs, name):
        values = [run[name] for run in runs if run.get(name) is not None]
        return statistics.median(values) if values else None


def say_where(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def missing_line(who, why):
    return dict.fromkeys(KEYS) | {"who": who, "missing": why}


class Run:
    """What came of the questions that were asked, and the file that it goes to, which may be none."""

    def __init__(self, options, stream, missing):
        self.options, self.stream, self.missing = options, stream, missing
        self.lines, self.failures, self.slow = [], {}, set()

    def ask_all(self, questions):
        """Whoever interrupts it gets what there is."""
        try:
            for turns in questions:
                self.ask(turns)
        except KeyboardInterrupt:
            self.failures["the whole"] = "interrupted: what comes later was not asked"
        say_where("")

    def ask(self, turns):
        """All rounds of one question."""
        figures = Figures()
        try:
            for number in range(-(not self.options.quick), self.options.rounds):
                for turn in turns:
                    self.ask_once(turn, number, figures)
        finally:
            self.keep(figures.lines())

    def ask_once(self, turn, number, figures):
        where = f"{turn.bench}.{turn.case} {turn.contestant.who} loops {turn.loops}"
        if where in self.slow:
            return
        say_where(f"{where}: {'warming up' if number < 0 else f'round {number + 1} of {self.options.rounds}'}")
        try:
            for figure in take(turn, self.options.quick or number < 0, self.options.patience):
                if number >= 0:
                    figures.add(turn.contestant.who, figure)
        except subprocess.TimeoutExpired:
            self.give_up(turn, where)
        except (Failed, ValueError) as error:
            self.failures.setdefault(where, error)

    def give_up(self, turn, where):
        """What is too slow is nobody's best; weft must not be."""
        self.slow.add(where)
        why = f"{turn.bench}.{turn.case}, loops {turn.loops}: takes longer than {self.options.patience:g} s"
        if turn.contestant.who == answers.US:
            self.failures[where] = why
        else:
            self.missing.append((turn.contestant.who, why))
            self.write(missing_line(*self.missing[-1]))

    def keep(self, lines):
        for line in lines:
            self.lines.append(line)
            self.write(line)

    def write(self, line):
        if self.stream is not None:
            print(json.dumps(line), file=self.stream, flush=True)


# ---- what is said ----


def number(value):
    return "-" if value is None else f"{value:.4g}"


def multiple(ours, theirs):
    found = answers.ratio(ours, theirs)
    return "" if found is None else f"{found:.2f}"


def row_of(line, found):
    spread = (line["max"] - line["min"]) / line["median"] if line["median"] else 0
    row = found.row(answers.Question(*(line[key] for key in answers.Question._fields)))
    ratios = [multiple(line, other) if line is row.ours else "" for other in (row.peer_line, row.limit_line)]
    return (f"{line['bench']}.{line['case']}", line["who"], str(line["loops"]), line["unit"], number(line["median"]), number(line["min"]),
            str(line["runs"]), f"{100 * spread:.0f} %", number(line["user_ns"]), number(line["sys_ns"]), number(line["syscalls"]), *ratios)


def print_table(lines):
    rows = [("figure", "who", "loops", "unit", "median", "min", "runs", "spread", "user ns", "sys ns", "calls", "× best", "× limit")]
    found = answers.Answers(lines)
    rows += [row_of(line, found) for line in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(word.ljust(width) if i < 4 else word.rjust(width) for i, (word, width) in enumerate(zip(row, widths))).rstrip())


def print_list(questions, missing):
    for turns in questions:
        for turn in turns:
            print(f"{turn.bench}.{turn.case} {turn.contestant.who} loops {turn.loops}")
    for who, why in missing:
        print(f"missing: {who}: {why}")


def place_of_servers():
    if len(os.sched_getaffinity(0)) == 1:
        return "there is one processor: servers and their clients share it"
    return "a server with one loop had a processor, its clients another; with more loops all ran on all"


def write_circumstances(run, where):
    for who, why in run.missing:
        run.write(missing_line(who, why))
    run.write(dict.fromkeys(KEYS) | {"machine": where})


@contextlib.contextmanager
def file_of(path):
    if path is None:
        yield None
        return
    with open(os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", "."), path), "w", encoding="utf-8") as stream:
        yield stream


def options_of(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", help="benches, or cases of them")
    parser.add_argument("--peers", default="all", help="all, none, or names of bench/peers.py, with commas between")
    parser.add_argument("--loops", default="1,2", help="how many loops or threads, with commas between")
    parser.add_argument("--rounds", type=int, default=5, help="that count; 1 with --quick")
    parser.add_argument("--json", help="where to write the figures, an object a line")
    parser.add_argument("--patience", type=float, default=PATIENCE_SECONDS, help="seconds that one run may take, %(default)s unless told")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: does it work?")
    parser.add_argument("--list", action="store_true", help="say what could be asked, and of whom")
    options = parser.parse_args(words)
    options.loops = [int(word) for word in options.loops.split(",")]
    options.rounds = 1 if options.quick else max(options.rounds, 5)
    return options


def main(words):
    options = options_of(words)
    found, missing = peer_table.ready(TREE, options.peers)
    programs = [(name, os.path.join(HERE, name)) for name in OURS] + [(os.path.basename(program).rsplit("-", 1)[0], program) for program in found]
    contestants = list(contestants_of(programs, missing))
    questions = questions_of(contestants, options)
    if options.list:
        print_list(questions, missing)
        return 0
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)  # where a shell had the one ignored, too
    with file_of(options.json) as stream:
        run = Run(options, stream, missing)
        write_circumstances(run, machine.describe())  # before the benches load it
        run.ask_all(questions)
    print_table(run.lines)
    if any(turn.kind for turns in questions for turn in turns):
        print(place_of_servers())
    for who, why in missing:
        print(f"missing: {who}: {why}")
    for where, error in run.failures.items():
        print(f"FAILED: {where}: {error}")
    return 1 if run.failures or not run.lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
