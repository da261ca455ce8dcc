"""One page of HTML with everything in it: the machine, the caveats, and each bench's plot and tables. Called by bench/report.py."""

import base64
import html
import os

from show import answers as figures

HERE = os.path.dirname(os.path.abspath(__file__))


def part(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as stream:
        return stream.read()


def element(tag, text, **attributes):
    words = "".join(f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"' for name, value in attributes.items() if value != "")
    return f"<{tag}{words}>{html.escape(text)}</{tag}>"


# ---- tables ----


def head(columns):
    names = "".join(f'<th class="{"word" if column.is_word else ""}" aria-sort="none">{element("button", column.name)}</th>' for column in columns)
    return f"<thead><tr>{names}</tr></thead>"


def cell(column, content):
    value = content.text if column.is_word else "" if content.value is None else f"{content.value:.9g}"
    kind = content.kind + (" us" if column.name == figures.US else "")
    return f'<td class="{kind.strip()}" data-value="{html.escape(value)}">{html.escape(content.text)}</td>'


def table(columns, rows):
    yield '<div class="wide"><table>' + head(columns) + "<tbody>"
    for row in rows:
        yield "<tr>" + "".join(cell(column, content) for column, content in zip(columns, row)) + "</tr>"
    yield "</tbody></table></div>"


def everybody(answers, bench):
    """Medians of all who answered, for what more than one has answered."""
    whos = answers.whos(bench)
    plain = [figures.Column(name, name != "loops", None) for name in ("figure", "loops", "unit")] + [figures.Column(who, False, None) for who in whos]
    rows = []
    for question in answers.questions(bench):
        found = answers.of(question)
        if len(found) > 1:
            asked = [figures.words(question.case), figures.figure(str(question.loops), question.loops), figures.words(question.unit)]
            rows.append(asked + [figures.median_cell(found.get(who)) if who in found else figures.figure("–", None, "none") for who in whos])
    if rows and len(whos) > 2:
        yield "<details><summary>What everybody took</summary>"
        yield from table(plain, rows)
        yield "</details>"


# ---- the page's parts ----


def opening(answers, machine, caveats):
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>weft beside its peers</title><style>{part('page.css')}</style></head><body>"
    yield "<h1>weft beside its peers</h1>"
    yield element("p", "Medians of interleaved runs on one machine. Less is better in every figure; ratios of one run say more than times.", class_="lead")
    yield "<dl>" + "".join(element("dt", name) + element("dd", words) for name, words in machine.items()) + "</dl>"
    if caveats:
        yield '<ul class="caveats">' + "".join(element("li", caveat) for caveat in caveats) + "</ul>"
    yield from contents(answers)


def contents(answers):
    columns = [figures.Column("bench", True, None)] + [figures.Column(name, False, None) for name in ("figures", "with a peer", "ahead", "level", "behind")]
    yield element("p", figures.tally(answers.ratios(answers.benches())) + ". As near as 5 % is level.", class_="tally")
    yield '<div class="wide"><table>' + head(columns) + "<tbody>"
    for bench in answers.benches():
        ratios = answers.ratios([bench])
        standings = [figures.standing(value) for value in ratios]
        counts = [len(answers.rows(bench)), len(ratios)] + [standings.count(word) for word in ("ahead", "level", "behind")]
        kinds = ["", "", "ahead", "level", "behind"]
        cells = "".join(f'<td class="{kind if count else "none"}" data-value="{count}">{count}</td>' for count, kind in zip(counts, kinds))
        yield f'<tr><td class="word" data-value="{bench}"><a href="#{bench}">{html.escape(bench)}</a></td>{cells}</tr>'
    yield "</tbody></table></div>"


LEGEND = (
    ("any of them", "a click sorts by it"),
    ("× peer", "weft's median divided by the best peer's: this is what counts as ahead or behind"),
    ("least ×", "the same of the least values, which other work on the machine has disturbed least"),
    ("CPU ×", "the same of processor time, which waiting for a processor does not add to"),
    ("limit", "plain C in one thread, or a program that makes just the system calls: no peer, but what cannot be beaten by much"),
    ("spread", "how far the slowest run is from the fastest, by the median"),
    ("CPU", "processor time of weft's process, per unit of the figure"),
    ("calls", "its system calls"),
)


def legend():
    yield '<details class="legend"><summary>What the columns say</summary><dl>'
    yield "".join(element("dt", name) + element("dd", words) for name, words in LEGEND) + "</dl></details>"


def image(path, bench):
    """Half of its pixels: it is twice as sharp as the page."""
    with open(path, "rb") as stream:
        content = stream.read()
    width = int.from_bytes(content[16:20], "big") // 2
    data = base64.b64encode(content).decode()
    return f'<div class="wide"><img width="{width}" alt="{html.escape(bench)}: bars by who answered" src="data:image/png;base64,{data}"></div>'


def section(answers, bench, plot):
    yield element("h2", bench, id=bench)
    yield element("p", figures.tally(answers.ratios([bench])) + ".", class_="tally")
    if plot:
        yield image(plot, bench)
    compared, alone = answers.compared(bench)
    if compared:
        yield from table(*figures.table(compared))
    yield from everybody(answers, bench)
    if alone:
        yield f"<details{'' if compared else ' open'}><summary>What nobody else has a figure of</summary>"
        yield from table(*figures.table(alone))
        yield "</details>"


def missing(answers):
    yield element("h2", "Missing", id="missing")
    if not answers.missing:
        yield element("p", "Nobody who was asked is missing.")
        return
    yield "<ul>" + "".join(f"<li>{element('strong', who)}: {html.escape(why)}</li>" for who, why in answers.missing) + "</ul>"


def page(answers, machine, caveats, plots):
    yield from opening(answers, machine, caveats)
    yield from legend()
    for bench in answers.benches():
        yield from section(answers, bench, plots.get(bench))
    yield from missing(answers)
    yield f"<script>{part('page.js')}</script></body></html>"
