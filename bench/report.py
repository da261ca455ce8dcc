#!/usr/bin/env python3
"""Turn what bench/run.py has written into a table in Markdown, plots, and one page of HTML that needs nothing else.

    tools/bazel run //bench:report -- FILE.json… [--out=FOLDER]

The folder gets report.md, a <bench>.png for each bench (gnuplot, which is installed if that may be done), and report.html with all of it inside.
"""

import argparse
import base64
import collections
import html
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.environ.get("BUILD_WORKSPACE_DIRECTORY", os.getcwd()), "bench"))
import peers as peer_table  # noqa: E402

US = "weft"
REFERENCE = "serial C"
COLOURS = ["#1b6ca8", "#9aa5b1", "#e07a5f", "#81b29a", "#f2cc8f", "#8d6a9f", "#c06c84", "#577590", "#90be6d", "#f9844a"]
PLOT_SIZE = (1100, 460)

Question = collections.namedtuple("Question", "bench case loops unit")


class Answers:
    """Medians by question and who answered; a question is one that weft was asked."""

    def __init__(self, lines):
        self.by_question, self.missing, whos = {}, [], []
        for line in lines:
            if line.get("missing"):
                self.missing.append((line["who"], line["missing"]))
                continue
            question = Question(*(line[key] for key in Question._fields))
            self.by_question.setdefault(question, {})[line["who"]] = line
            whos.append(line["who"])
        self.whos = sorted(dict.fromkeys(whos), key=lambda who: (who != US, who != REFERENCE, who.lower()))

    def benches(self):
        return list(dict.fromkeys(question.bench for question in self.by_question))

    def questions(self, bench):
        """Those that somebody besides weft has answered stand first."""
        mine = [question for question in self.by_question if question.bench == bench and US in self.by_question[question]]
        return sorted(mine, key=lambda question: len(self.answers(question)) == 1)

    def answers(self, question):
        """What plain C takes on one thread is held against any number of loops."""
        found = dict(self.by_question[question])
        alone = self.by_question.get(question._replace(loops=1), {})
        if REFERENCE in alone:
            found.setdefault(REFERENCE, alone[REFERENCE])
        return found

    def best_peer(self, question):
        peers = {who: line for who, line in self.answers(question).items() if who not in (US, REFERENCE)}
        return min(peers, key=lambda who: peers[who]["median"]) if peers else None


def number(value):
    return "" if value is None else f"{value:.4g}"


def ratio(ours, theirs):
    return f"{ours['median'] / theirs['median']:.2f}" if theirs and theirs["median"] else ""


HEADER = ("figure", "loops", "unit", "weft", "min", "× serial", "best peer", "its", "× best peer", "CPU ns", "calls")


def row_of(answers, question):
    found = answers.answers(question)
    ours, best = found[US], answers.best_peer(question)
    cpu = None if ours["user_ns"] is None else ours["user_ns"] + ours["sys_ns"]
    return (question.case, str(question.loops), question.unit, number(ours["median"]), number(ours["min"]), ratio(ours, found.get(REFERENCE)), best or "",
            number(found[best]["median"]) if best else "", ratio(ours, found[best]) if best else "", number(cpu), number(ours["syscalls"]))


# ---- Markdown ----


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as stream:
        models = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} processors, {model}, Linux {platform.release()}"


def markdown(answers):
    yield f"Taken on {machine()}.\n"
    for bench in answers.benches():
        yield f"## {bench}\n"
        yield "| " + " | ".join(HEADER) + " |"
        yield "|" + "---|" * len(HEADER)
        for question in answers.questions(bench):
            yield "| " + " | ".join(row_of(answers, question)) + " |"
        yield ""
    for who, why in answers.missing:
        yield f"- missing: {who}: {why}"


# ---- plots ----


def plot_data(answers, bench):
    """A row for each question that has peers; a column for each contestant: how many times what the fastest of them takes."""
    rows = []
    for question in answers.questions(bench):
        found = answers.answers(question)
        if len(found) > 1 and all(line["median"] for line in found.values()):
            fastest = min(line["median"] for line in found.values())
            rows.append((f"{question.case}\\n×{question.loops}", [found[who]["median"] / fastest if who in found else None for who in answers.whos]))
    return rows


def plot_script(answers, bench, rows, out):
    yield f'set terminal pngcairo size {PLOT_SIZE[0]},{PLOT_SIZE[1]} font "sans,10"'
    yield f'set output "{out}"'
    yield f'set title "{bench}: time, as a multiple of the fastest (lower is better)" noenhanced'
    yield "set style data histogram; set style histogram clustered gap 1; set style fill solid 0.9 noborder; set boxwidth 0.9"
    yield "set logscale y; set yrange [0.8:*]; set grid y lc rgb '#dddddd'; set border 3; set tics nomirror; set key outside right noenhanced"
    yield "set xtics noenhanced; set bmargin 4"
    yield "$data << EOD"
    for label, values in rows:
        yield f'"{label}" ' + " ".join("?" if value is None else f"{value:.4f}" for value in values)
    yield "EOD"
    yield "set datafile missing '?'"
    columns = [f"$data using {i + 2}:xtic(1) title '{who}' lc rgb '{COLOURS[i % len(COLOURS)]}'" for i, who in enumerate(answers.whos)]
    yield "plot " + ", ".join(columns)


def plot(answers, bench, folder):
    """The file's path, or None if there is nothing to compare."""
    rows = plot_data(answers, bench)
    if not rows:
        return None
    out = os.path.join(folder, bench + ".png")
    with tempfile.NamedTemporaryFile("w", suffix=".gp", encoding="utf-8") as script:
        script.write("\n".join(plot_script(answers, bench, rows, out)) + "\n")
        script.flush()
        subprocess.run(["gnuplot", script.name], check=True)
    return out


# ---- HTML ----

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; margin: 2.5rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { margin-bottom: 0; } .machine { color: #616e7c; margin-top: .2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0 2rem; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e4e7eb; white-space: nowrap; }
th { color: #616e7c; font-weight: 600; } td:first-child, th:first-child, td.word, th.word { text-align: left; }
td.won { color: #18794e; font-weight: 600; } td.lost { color: #b3261e; font-weight: 600; }
img { max-width: 100%; border: 1px solid #e4e7eb; border-radius: 6px; }
"""


def cell(name, value):
    kind = "word" if name in ("unit", "best peer") else ""
    if name == "× best peer" and value:
        kind = "won" if float(value) <= 1 else "lost"
    return f'<td class="{kind}">{html.escape(value)}</td>'


def page(answers, plots):
    yield '<!doctype html><html lang="en"><meta charset="utf-8"><title>weft: benches</title>'
    yield f"<style>{STYLE}</style><h1>weft beside its peers</h1><p class='machine'>{html.escape(machine())}. Medians of interleaved runs; smaller is better.</p>"
    for bench in answers.benches():
        yield f"<h2>{html.escape(bench)}</h2>"
        if plots.get(bench):
            with open(plots[bench], "rb") as stream:
                yield f'<img alt="{html.escape(bench)}" src="data:image/png;base64,{base64.b64encode(stream.read()).decode()}">'
        yield "<table><tr>" + "".join(f'<th class="{"word" if name in ("unit", "best peer") else ""}">{name}</th>' for name in HEADER) + "</tr>"
        for question in answers.questions(bench):
            yield "<tr>" + "".join(cell(name, value) for name, value in zip(HEADER, row_of(answers, question))) + "</tr>"
        yield "</table>"
    if answers.missing:
        yield "<h2>Missing</h2><ul>" + "".join(f"<li>{html.escape(who)}: {html.escape(why)}</li>" for who, why in answers.missing) + "</ul>"
    yield "</html>"


def write(path, lines):
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")


def main(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("files", nargs="+", help="what --json of bench/run.py has written")
    parser.add_argument("--out", default="bench-report", help="the folder")
    options = parser.parse_args(words)
    where = os.environ.get("BUILD_WORKING_DIRECTORY", ".")
    lines = []
    for name in options.files:
        with open(os.path.join(where, name), encoding="utf-8") as stream:
            lines += [json.loads(line) for line in stream]
    answers, folder = Answers(lines), os.path.join(where, options.out)
    os.makedirs(folder, exist_ok=True)
    can_plot = shutil.which("gnuplot") is not None or peer_table.install(["gnuplot-nox"])
    if not can_plot:
        print("no plots: gnuplot is not installed", file=sys.stderr)
    plots = {bench: plot(answers, bench, folder) for bench in answers.benches()} if can_plot else {}
    write(os.path.join(folder, "report.md"), markdown(answers))
    write(os.path.join(folder, "report.html"), page(answers, plots))
    print(os.path.join(folder, "report.html"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
