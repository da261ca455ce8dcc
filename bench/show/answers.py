"""What the contestants answered, by question, as bench/run.py has written it; and how weft stands among them.

A figure's value is a time, a number of bytes or of calls: smaller is always better. Plain C in one thread, and the raw programs that do just
the system calls, are no peers: they are the limit that nobody is expected to beat, and have columns of their own.
"""

import collections
import json
import math
import re

US = "weft"
SERIAL = "serial C"
LEVEL = 0.05  # as near as that is neither ahead nor behind
NS_IN = {"ms": 1e6, "us": 1e3, "µs": 1e3, "ns": 1}

# Of weft's; what is left of the name is the peers' one way.
SECOND_WAY = re.compile(r"_(stream|spin)\b")

Question = collections.namedtuple("Question", "bench case loops unit")
Row = collections.namedtuple("Row", "question ours peer peer_line limit limit_line least_ratio cpu_ratio")


def is_limit(who):
    return who == SERIAL or re.match(r"raw\b", who) is not None


def rank_of(who):
    """weft, then the limits, then the peers."""
    return (who != US, not is_limit(who), who.lower())


def ratio(ours, theirs):
    return ours["median"] / theirs["median"] if theirs and theirs["median"] else None


def least_of(line):
    return line["min"]


def cpu_of(line):
    return None if line["user_ns"] is None else line["user_ns"] + (line["sys_ns"] or 0)


def ratio_by(found, value_of):
    """weft's to the peer's that has the least of it, which need not be the one with the least median."""
    theirs = [value_of(line) for who, line in found.items() if who != US and not is_limit(who) and value_of(line)]
    return value_of(found[US]) / min(theirs) if US in found and theirs and value_of(found[US]) is not None else None


class Answers:
    """Lines by question and who answered."""

    def __init__(self, lines):
        self.by_question, self.missing, self.machine = {}, [], None
        for line in lines:
            if line.get("machine"):
                self.machine = line["machine"]
            elif line.get("missing"):
                self.missing.append((line["who"], line["missing"]))
            else:
                question = Question(*(line[key] for key in Question._fields))
                self.by_question.setdefault(question, {})[line["who"]] = line
        self.missing = list(dict.fromkeys(self.missing))

    def benches(self):
        return list(dict.fromkeys(question.bench for question in self.by_question))

    def whos(self, bench):
        found = {who for question, lines in self.by_question.items() if question.bench == bench for who in lines}
        return sorted(found, key=rank_of)

    def questions(self, bench):
        """Those that somebody besides weft has answered stand first."""
        mine = [question for question in self.by_question if question.bench == bench]
        return sorted(mine, key=lambda question: len(self.of(question)) == 1)

    def of(self, question):
        """
        What plain C takes on one thread is held against any number of loops; and the peers' one way of doing something against each of
        weft's.
        """
        alone = self.by_question.get(question._replace(loops=1), {})
        first_way = self.by_question.get(question._replace(case=SECOND_WAY.sub("", question.case)), {})
        found = {who: line for who, line in first_way.items() if who != US} | self.by_question[question]
        if SERIAL in alone:
            found.setdefault(SERIAL, alone[SERIAL])
        return dict(sorted(found.items(), key=lambda pair: rank_of(pair[0])))

    def row(self, question):
        found = self.of(question)
        peer = self.best(found, lambda who: who != US and not is_limit(who))
        limit = self.best(found, is_limit)
        return Row(question, found.get(US), peer, found.get(peer), limit, found.get(limit), ratio_by(found, least_of), ratio_by(found, cpu_of))

    @staticmethod
    def best(found, is_meant):
        meant = [who for who in found if is_meant(who)]
        return min(meant, key=lambda who: found[who]["median"]) if meant else None

    def rows(self, bench):
        """What weft has answered."""
        return [row for row in map(self.row, self.questions(bench)) if row.ours]

    def compared(self, bench):
        """The same, as two lists: what can be held against somebody, and what weft alone has a figure of."""
        rows = self.rows(bench)
        alone = [row for row in rows if not row.peer and not row.limit]
        return [row for row in rows if row not in alone], alone

    def ratios(self, benches):
        """weft's to the best peer, of each figure that has one."""
        found = [ratio(row.ours, row.peer_line) for bench in benches for row in self.rows(bench)]
        return [each for each in found if each is not None]


def read(paths):
    lines = []
    for path in paths:
        with open(path, encoding="utf-8") as stream:
            lines += [json.loads(line) for line in stream if line.strip()]
    return Answers(lines)


def standing(value):
    """What a ratio to the best peer is called."""
    return "ahead" if value < 1 - LEVEL else "level" if value <= 1 + LEVEL else "behind"


def tally(ratios):
    if not ratios:
        return "no figure has a peer"
    counts = collections.Counter(map(standing, ratios))
    said = ", ".join(f"{word} in {counts[word]}" for word in ("ahead", "level", "behind") if counts[word])
    return f"{len(ratios)} figure{'s' * (len(ratios) != 1)} with a peer: {said}"


# ---- numbers as words ----


def number(value):
    """Four digits, or all of a larger whole one."""
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 3 if value == 0 else max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 5)}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"


def times(value):
    """A ratio."""
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def duration(ns):
    if ns is None:
        return ""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 1000 * size else f"{ns / size:,.0f} {unit}"
    return f"{ns:.3g} ns"


def amount(value, unit):
    """With its unit; a time in the one that suits it."""
    return duration(value * NS_IN[unit]) if unit in NS_IN else f"{number(value)} {unit}"


def spread(line):
    return (line["max"] - line["min"]) / line["median"] if line["median"] else None


# ---- the table, for whatever shows it ----

Column = collections.namedtuple("Column", "name is_word cell")
Cell = collections.namedtuple("Cell", "text value kind")


def words(text):
    return Cell(text or "", None, "word")


def figure(text, value, kind=""):
    return Cell(text, value, kind)


def ratio_cell(value):
    return figure(times(value), value, "" if value is None else standing(value))


def limit_cell(row):
    value = ratio(row.ours, row.limit_line)
    return figure(times(value), value)


def percent_cell(value):
    return figure("" if value is None else f"{100 * value:.0f} %", value)


def median_cell(line):
    return figure(number(line["median"]), line["median"]) if line else figure("", None)


COLUMNS = (
    Column("figure", True, lambda row: words(row.question.case)),
    Column("loops", False, lambda row: figure(str(row.question.loops), row.question.loops)),
    Column("unit", True, lambda row: words(row.question.unit)),
    Column("weft", False, lambda row: median_cell(row.ours)),
    Column("least", False, lambda row: figure(number(row.ours["min"]), row.ours["min"])),
    Column("spread", False, lambda row: percent_cell(spread(row.ours))),
    Column("best peer", True, lambda row: words(row.peer)),
    Column("its", False, lambda row: median_cell(row.peer_line)),
    Column("× peer", False, lambda row: ratio_cell(ratio(row.ours, row.peer_line))),
    Column("least ×", False, lambda row: ratio_cell(row.least_ratio)),
    Column("CPU ×", False, lambda row: ratio_cell(row.cpu_ratio)),
    Column("limit", True, lambda row: words(row.limit)),
    Column("× limit", False, limit_cell),
    Column("CPU", False, lambda row: figure(duration(cpu_of(row.ours)), cpu_of(row.ours))),
    Column("calls", False, lambda row: figure(number(row.ours["syscalls"]), row.ours["syscalls"])),
)


def table(rows):
    """The columns that say something, and the cells of each row."""
    cells = [[column.cell(row) for column in COLUMNS] for row in rows]
    used = [place for place in range(len(COLUMNS)) if any(line[place].text for line in cells)]
    return [COLUMNS[place] for place in used], [[line[place] for place in used] for line in cells]
