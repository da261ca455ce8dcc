#!/usr/bin/env python3
"""Writes the tables of README.md anew: each suite's models, and what became of each mutant.

    tools/bazel build //tests/model/...
    python3 tests/model/table.py bazel-bin/tests/model/*_model
"""

import collections
import pathlib
import re
import subprocess
import sys

MARKER = "## Suites\n"
LINE = re.compile(r"^ok   (\S+): (\d+) threads, (\d+) runs, (.*), [\d.]+ s$")


def output(program, option):
    return subprocess.run([program, option], check=False, capture_output=True, text=True).stdout


def section(program):
    name = pathlib.Path(program).name
    models, broken = [], []
    for line in output(program, "--no-mutants").splitlines():
        found = LINE.match(line)
        if found:
            models.append("%s (%s threads; %s)" % (found[1], found[2], "all" if found[4] == "all" else found[4].replace("all ", "")))
        elif line.startswith("ok   "):
            broken.append(line.split()[1].rstrip(":"))
    text = f"### {name}\n\nModels: {', '.join(models)}."
    if broken:
        text += f"\nWith two steps swapped, found to fail: {', '.join(broken)}."
    mutants = output(program, "--markdown")
    if mutants:
        text += "\n\n| mutant | killed by |\n|---|---|\n" + mutants.rstrip()
    return text


def summary(sections):
    """How many threads the largest model of each suite has, and in how many suites steps are swapped."""
    most = collections.Counter(max(map(int, re.findall(r"\((\d+) threads;", text)), default=0) for text in sections)
    threads = ", ".join(f"{count} suites with {number}" for number, count in sorted(most.items()))
    swapped = sum("With two steps swapped" in text for text in sections)
    models = sum(len(re.findall(r"\(\d+ threads;", text)) for text in sections)
    return f"{len(sections)} suites, {models} models. Threads, in the largest model of each: {threads}. Steps are swapped in {swapped} suites."


def main():
    readme = pathlib.Path(__file__).with_name("README.md")
    head = readme.read_text(encoding="utf-8").split(MARKER)[0]
    sections = [section(program) for program in sys.argv[1:]]
    readme.write_text(head + MARKER + "\n" + "\n\n".join([summary(sections)] + sections) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
