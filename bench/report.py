#!/usr/bin/env python3
"""Turn what bench/run.py has written into tables in Markdown, plots, and one page of HTML that needs nothing else.

    tools/bazel run //bench:report -- FILE.json… [--out=FOLDER]

The folder gets report.md, a <bench>.png for each bench that has peers (by gnuplot, which is installed if that may be done), and report.html
with all of it inside. Several files are one run: of an answer that stands in more than one the last counts.
"""

import argparse
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.environ.get("BUILD_WORKSPACE_DIRECTORY", os.getcwd()), "bench"))
sys.dont_write_bytecode = True
import peers as peer_table  # noqa: E402
from show import answers as figures, machine, page, plots  # noqa: E402

RUNS_MIN = 5
SPREAD_MAX = 0.5


# ---- what a reader should know before ----


def load_of(described):
    return max((float(word) for word in described.get("load", "0").replace(",", " ").split()[:1]), default=0)


def caveats(answers, described):
    lines = [line for lines in answers.by_question.values() for line in lines.values()]
    processors = int(described.get("processors", "1"))
    wide = sum(1 for line in lines if (figures.spread(line) or 0) > SPREAD_MAX)
    if answers.machine is None:
        yield "The figures do not say where they were taken: this is the machine on which the page was made."
    if lines and min(line["runs"] for line in lines) < RUNS_MIN:
        yield f"Some figures were taken fewer than {RUNS_MIN} times, as --quick does, at small sizes: they show that everything works, and nothing else."
    if load_of(described) > processors / 2:
        yield f"The machine was busy with other work: a load of {load_of(described):g} on {processors} processors. Least values and ratios say more than medians."
    if "virtual" in described.get("processor", ""):
        yield "In a virtual machine a wake-up of another processor, and each exit to its host, costs many times what it does on hardware."
    if processors <= 2:
        yield "With two processors clients and servers, or all threads of a computation, have one each at most: nothing is said about many."
    if wide:
        yield f"{wide} of {len(lines)} figures have a spread above {100 * SPREAD_MAX:.0f} %."
    if answers.missing:
        yield "Missing: " + ", ".join(who for who, _ in answers.missing) + ". The reasons stand at the end."


# ---- Markdown ----


def escaped(text):
    return text.replace("|", "\\|")


def marked(cell):
    return f"**{cell.text}**" if cell.kind == "behind" else escaped(cell.text)


def table(compared):
    if not compared:
        return
    columns, rows = figures.table(compared)
    yield "| " + " | ".join(column.name for column in columns) + " |"
    yield "|" + "|".join("---" if column.is_word else "---:" for column in columns) + "|"
    for row in rows:
        yield "| " + " | ".join(marked(cell) for cell in row) + " |"


def markdown(answers, described, warnings):
    yield "Taken on " + "; ".join(f"{name}: {words}" for name, words in described.items()) + ".\n"
    yield "Medians of interleaved runs; less is better. A ratio above 1.05 to the best peer is bold.\n"
    yield from (f"- {warning}" for warning in warnings)
    for bench in answers.benches():
        compared, alone = answers.compared(bench)
        yield f"\n## {bench}\n\n{figures.tally(answers.ratios([bench]))}.\n"
        yield from table(compared)
        if alone:
            yield ("\n" if compared else "") + "What nobody else has a figure of:\n"
            yield from table(alone)
    if answers.missing:
        yield "\n## Missing\n"
        yield from (f"- {who}: {escaped(why)}" for who, why in answers.missing)


# ---- files ----


def write(path, lines):
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")


def drawn(answers, folder):
    if shutil.which("gnuplot") is None and not peer_table.install(["gnuplot-nox"]):
        print("no plots: gnuplot is not installed", file=sys.stderr)
        return {}
    return {bench: plots.plot(answers, bench, folder) for bench in answers.benches()}


def main(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("files", nargs="+", help="what --json of bench/run.py has written")
    parser.add_argument("--out", default="bench-report", help="the folder")
    options = parser.parse_args(words)
    where = os.environ.get("BUILD_WORKING_DIRECTORY", ".")
    answers, folder = figures.read([os.path.join(where, name) for name in options.files]), os.path.join(where, options.out)
    os.makedirs(folder, exist_ok=True)
    described = answers.machine or machine.describe()
    warnings = list(caveats(answers, described))
    write(os.path.join(folder, "report.md"), markdown(answers, described, warnings))
    write(os.path.join(folder, "report.html"), page.page(answers, described, warnings, drawn(answers, folder)))
    print(os.path.join(folder, "report.html"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
