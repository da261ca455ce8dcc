"""A picture for each bench, by gnuplot: who takes how many times what the fastest takes. Called by bench/report.py.

A panel for each number of loops; in it a block of bars for each case, in each panel in the same order, the fastest of the first panel at the
top. The names stand at the bars, so there is no key to look up. The scale is logarithmic where somebody takes four times as long or more.
"""

import math
import os
import subprocess
import tempfile

from show import answers as figures

OURS, LIMIT, PEER = "#1b6ca8", "#9aa5b1", "#dfb277"
BAR = 15  # pixels from one bar to the next
LETTER, PANEL_WIDTH, VALUES_WIDTH = 7, 330, 140
HEAD, FOOT = 62, 44
LOG_FROM = 4
SHARPNESS = 2  # pixels for each that is counted here


def colour(who):
    return OURS if who == figures.US else LIMIT if figures.is_limit(who) else PEER


def compared(answers, bench):
    """
    Lines by loops by (case, unit), of those questions that more than one has answered, with none that took nothing. A case's further
    figures, which have a dot in their names, are for the tables.
    """
    found = {}
    for question in answers.questions(bench):
        lines = answers.of(question)
        if "." not in question.case and len(lines) > 1 and all(line["median"] for line in lines.values()):
            found.setdefault((question.case, question.unit), {})[question.loops] = lines
    return found


def times_fastest(lines):
    fastest = min(line["median"] for line in lines.values())
    return {who: line["median"] / fastest for who, line in lines.items()}


def order(by_loops):
    """Who answered a case with any number of loops: the fastest on average first."""
    ratios = {}
    for lines in by_loops.values():
        for who, value in times_fastest(lines).items():
            ratios.setdefault(who, []).append(math.log(value))
    return sorted(ratios, key=lambda who: (sum(ratios[who]) / len(ratios[who]), figures.rank_of(who)))


def rows_of(found):
    """What stands at the left, from the top: (case and unit, None), then (the same, who) for each bar; an empty row behind each block."""
    for key, by_loops in found.items():
        yield key, None
        for who in order(by_loops):
            yield key, who
        yield None, None


def quoted(text, style=""):
    """For gnuplot's enhanced text, in which some characters would mean something."""
    plain = "".join("\\\\" + letter if letter in "_^{}@&~\\" else letter for letter in text).replace('"', "'")
    return f'"{{{style} {plain}}}"' if style else f'"{plain}"'


def names(rows):
    for place, (key, who) in enumerate(rows):
        y = len(rows) - place
        if who is not None:
            style = "/:Bold" if who == figures.US else ""
            yield f"set label {quoted(who, style)} at graph 0, first {y} right offset character -1,0"
        elif key is not None:
            yield f"set label {quoted(key[0], '/:Bold')} at graph 0, first {y} right offset character -1,0"


def bars(rows, found, loops, begin):
    """From where to where each bar goes, how it is coloured, and what stands behind it."""
    for place, (key, who) in enumerate(rows):
        lines = found[key].get(loops, {}) if who else {}
        if who in lines:
            value = times_fastest(lines)[who]
            said = f"{figures.amount(lines[who]['median'], key[1])} ({figures.times(value)}×)"
            yield f'{begin} {len(rows) - place} {value:.5g} {int(colour(who)[1:], 16)} "{said}"'


def panel(rows, found, loops, left, right, is_log, largest):
    begin = 0.7 if is_log else 0
    yield f"set lmargin at screen {left:.5f}; set rmargin at screen {right:.5f}"
    yield f"set title {quoted(f'{loops} loop' + 's' * (loops != 1), '/:Bold')} offset 0,-0.6"
    yield f"set xrange [{begin}:{largest * 1.02:.5g}]; " + ("set logscale x" if is_log else "unset logscale x")
    yield f"set yrange [0.2:{len(rows) + 0.9}]"
    yield "$bars << EOD"
    yield from bars(rows, found, loops, begin)
    yield "EOD"
    yield "plot $bars using ($1):2:($1):3:($2-0.38):($2+0.38):4 with boxxyerror fs solid noborder lc rgb variable notitle, \\"
    yield "     $bars using 3:2:5 with labels left offset character 0.6,0 tc rgb '#3e4c59' font ',8' notitle"
    yield "unset label"


def script(answers, bench, out):
    """gnuplot's words, or None if there is nothing to compare."""
    found = compared(answers, bench)
    if not found:
        return None
    rows = list(rows_of(found))[:-1]
    panels = sorted({loops for by_loops in found.values() for loops in by_loops})
    largest = max(value for by_loops in found.values() for lines in by_loops.values() for value in times_fastest(lines).values())
    is_log = largest >= LOG_FROM
    step = PANEL_WIDTH + VALUES_WIDTH
    beside = 30 + LETTER * max(len(who or key and key[0] or "") for key, who in rows)
    width, height = beside + step * len(panels), HEAD + FOOT + BAR * len(rows)
    lines = [
        f'set terminal pngcairo enhanced size {SHARPNESS * width},{SHARPNESS * height} fontscale {SHARPNESS} font "sans,9" linewidth {SHARPNESS}',
        f'set output "{out}"; set encoding utf8; set multiplot',
        f"set label {quoted(bench + ': how many times what the fastest takes, shorter is better', '/:Bold=11')} at screen {12 / width:.4f},{1 - 18 / height:.4f}",
        f"set tmargin at screen {1 - HEAD / height:.5f}; set bmargin at screen {FOOT / height:.5f}",
        "unset key; unset ytics; set border 1 lc rgb '#9aa5b1'; set xtics nomirror tc rgb '#52606d'; set grid xtics back lt 1 lw 0.5 lc rgb '#d5dae0'; set clip two",
    ]
    if is_log:
        lines.append("set xtics (" + ", ".join(f'"{tick:g}" {tick:g}' for tick in ticks(largest)) + ")")
    lines += names(rows)
    for number, loops in enumerate(panels):
        left = beside + step * number
        lines += panel(rows, found, loops, left / width, (left + PANEL_WIDTH) / width, is_log, largest)
    return "\n".join(lines) + "\nunset multiplot\n"


def ticks(largest):
    """1, 2, 5, 10, … up to `largest`; without the twos and fives where that would be too many."""
    steps = (1, 2, 5) if largest < 300 else (1,)
    return [step * 10 ** power for power in range(math.ceil(math.log10(largest)) + 1) for step in steps if step * 10 ** power <= largest]


def plot(answers, bench, folder):
    """The file's path, or None if there is nothing to compare."""
    out = os.path.join(folder, bench + ".png")
    words = script(answers, bench, out)
    if words is None:
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".gp", encoding="utf-8") as stream:
        stream.write(words)
        stream.flush()
        subprocess.run(["gnuplot", stream.name], check=True)
    return out
