"""Flame graphs: stacks as a profiler wrote them, folded together, drawn as an SVG that needs nothing else, and listed. bench/profile.py calls it.

A frame is as wide as the time that was spent in it and in what it called, and stands on its caller; the widest callee is at the left. A click
makes a frame as wide as the picture, the box at the top looks for a regular expression. A function that calls itself is one frame, or fib
alone would be a tower of 38; a function that the compiler has put into another one is a frame all the same, of another colour.
"""

import collections
import html
import os
import re
import subprocess
import zlib

# Where a frame comes from decides its colour: hue, saturation and lightness.
KINDS = {"program": (24, 88, 66), "inlined": (44, 90, 70), "library": (150, 40, 68), "kernel": (210, 45, 74), "thread": (0, 0, 86)}
KIND_WORDS = {"program": "program", "inlined": "put into its caller by the compiler", "library": "library", "kernel": "kernel"}

WIDTH, ROW, MARGIN, HEAD, FOOT = 1200, 18, 10, 62, 34
LETTER = 6.7  # how wide one is, at the size below
LETTER_SIZE = 11
WIDTH_MIN = 0.5  # what is narrower is left out

Frame = collections.namedtuple("Frame", "name kind")
Sample = collections.namedtuple("Sample", "thread weight calls")  # calls: the innermost first
Call = collections.namedtuple("Call", "address name object")

# ---- what perf has recorded ----

PERF_FIELDS = "comm,tid,period,ip,sym,dso"
PERF_DEPTH = 127  # deeper stacks lose their outer end
HEADER = re.compile(r"^(\S.*?)\s+\d+\s+(\d+)\s*$")
CALL = re.compile(r"^\s+([0-9a-f]+) (.*) \((.*)\)$")


def perf_samples(text):
    """The samples in what `perf script -F PERF_FIELDS` says: a header, then a line for each call, then an empty line."""
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip("\n").split("\n")
        header = HEADER.match(lines[0])
        if header:
            calls = [Call(int(found[1], 16), found[2], found[3]) for found in map(CALL.match, lines[1:]) if found]
            yield Sample(header[1], int(header[2]), calls)


def kind_of(name, program):
    if name == program:
        return "program"
    return "kernel" if name.startswith("[") and name != "[vdso]" else "library"


class Inlined:
    """Which functions the compiler has put where."""

    def __init__(self, said):
        self.names = self.parse(said)

    @classmethod
    def read(cls, program, addresses):
        """As addr2line reads it out of the program: asked once for all addresses."""
        words = "".join(f"{address:x}\n" for address in addresses)
        return cls(subprocess.run(["addr2line", "-a", "-f", "-i", "-e", program], input=words, stdout=subprocess.PIPE, text=True, check=True).stdout)

    @staticmethod
    def parse(said):
        """By address, the innermost first; the last one is the function that has a symbol. Behind each name stands a line with its place."""
        names, is_name = {}, True
        for line in said.split("\n")[:-1]:
            if line.startswith("0x"):
                names[int(line, 16)] = within = []
                is_name = True
                continue
            if is_name:
                within.append(line)
            is_name = not is_name
        return names

    def of(self, address):
        return self.names.get(address, [])[:-1]


def within_calls(sample):
    """Each call with the address that it was made from: what is on the stack is where it returns to, one byte further at least."""
    return [(call.address - (place > 0), call) for place, call in enumerate(sample.calls)]


def frames_of(sample, program, inlined):
    """The stack, outermost first. Calls without a name are what an unwinder reads where a library has kept no frame pointer."""
    frames = []
    for address, call in within_calls(sample):
        if call.name == "[unknown]":
            continue
        kind = kind_of(call.object, program)
        if kind == "program":
            frames += [Frame(name, "inlined") for name in inlined.of(address)]
        frames.append(Frame(call.name, kind))
    if len(sample.calls) >= PERF_DEPTH:
        frames.append(Frame("(deeper than was recorded)", "thread"))
    frames.append(Frame(re.sub(r"\d+$", "N", sample.thread), "thread"))
    return without_recursion(reversed(frames))


def without_recursion(frames):
    found = []
    for frame in frames:
        if not found or found[-1] != frame:
            found.append(frame)
    return tuple(found)


def fold(samples, program, inlined):
    """Weights by stack."""
    folded = collections.Counter()
    for sample in samples:
        folded[frames_of(sample, program, inlined)] += sample.weight
    return folded


def fold_perf(text, program):
    samples = list(perf_samples(text))
    addresses = {address for sample in samples for address, call in within_calls(sample) if call.object == program}
    return fold(samples, program, Inlined.read(program, sorted(addresses)))


# ---- what callgrind has counted ----

CALLGRIND_OPTIONS = ["--separate-callers=40", "--separate-recs=1", "--compress-strings=no", "--compress-pos=no"]


def callgrind_kinds(text, program):
    """Where each function is from: said of the one that begins a line, and of no caller behind it."""
    kinds, kind = {}, "library"
    for line in text.split("\n"):
        if line.startswith("ob="):
            kind = kind_of(os.path.realpath(line[3:]), os.path.realpath(program))
        elif line.startswith("fn="):
            kinds[line[3:].split("'")[0]] = kind
    return kinds


def fold_callgrind(text, program):
    """Instructions by stack: with CALLGRIND_OPTIONS a function is named after all its callers, and only its own lines count."""
    kinds, folded, stack, is_callee = callgrind_kinds(text, program), collections.Counter(), (), False
    for line in text.split("\n"):
        if line.startswith("fn="):
            names = [name for name in line[3:].split("'") if not name.startswith("0x")]
            stack = without_recursion(Frame(name, kinds.get(name, "library")) for name in reversed(names))
        elif line.startswith("calls="):
            is_callee = True
        elif re.match(r"\d+ \d+$", line):
            folded[stack or (Frame("(no name)", "library"),)] += 0 if is_callee else int(line.split()[1])
            is_callee = False
    return +folded


# ---- the list ----


def totals(folded):
    """Weights by frame: its own, and with all that it called."""
    own, whole = collections.Counter(), collections.Counter()
    for stack, weight in folded.items():
        own[stack[-1]] += weight
        for frame in set(stack):
            whole[frame] += weight
    return own, whole


def shares(folded):
    """How much of all is spent in what kind of code."""
    own, everything = collections.Counter(), sum(folded.values()) or 1
    for stack, weight in folded.items():
        own[stack[-1].kind] += weight
    return ", ".join(f"{kind} {100 * own[kind] / everything:.1f} %" for kind in KIND_WORDS if own[kind])


def top(folded, count=40):
    own, whole = totals(folded)
    everything = sum(folded.values()) or 1
    functions = [frame for frame in whole if frame.kind != "thread"]
    yield "   self  with callees  function"
    for frame in sorted(functions, key=lambda frame: (-own[frame], -whole[frame], frame))[:count]:
        where = "" if frame.kind == "program" else f"  ({frame.kind})"
        yield f"{100 * own[frame] / everything:6.2f} %  {100 * whole[frame] / everything:10.2f} %  {frame.name}{where}"


# ---- the picture ----


class Node:
    """A frame in its place."""

    def __init__(self, frame):
        self.frame, self.weight, self.callees = frame, 0, {}

    def add(self, stack, weight):
        node = self
        node.weight += weight
        for frame in stack:
            node = node.callees.setdefault(frame, Node(frame))
            node.weight += weight

    def boxes(self, left=0, depth=0):
        """What is drawn: (node, where it begins, how many callers it has)."""
        yield self, left, depth
        for callee in sorted(self.callees.values(), key=lambda node: (-node.weight, node.frame)):
            yield from callee.boxes(left, depth + 1)
            left += callee.weight


def colour(frame):
    hue, saturation, light = KINDS[frame.kind]
    shade = zlib.crc32(frame.name.encode()) % 13 - 6
    return f"hsl({hue + shade},{saturation}%,{light + shade / 2:g}%)"


def label(name, width):
    letters = int((width - 6) / LETTER)
    return name if len(name) <= letters else name[:letters - 1] + "…" if letters > 2 else ""


def box(node, left, depth, everything, height):
    scale = (WIDTH - 2 * MARGIN) / everything
    x, width, y = MARGIN + left * scale, node.weight * scale, height - FOOT - (depth + 1) * ROW
    name = html.escape(node.frame.name, quote=True)
    title = f"{name} ({node.frame.kind}): {100 * node.weight / everything:.2f} %"
    return (f'<g class="frame" data-name="{name}" data-left="{left / everything:.7g}" data-part="{node.weight / everything:.7g}" data-depth="{depth}">'
            f'<title>{title}</title><rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{ROW - 1}" rx="2" fill="{colour(node.frame)}"/>'
            f'<text x="{x + 3:.2f}" y="{y + 13}">{html.escape(label(node.frame.name, width))}</text></g>')


STYLE = """svg { background: #fff; font: %dpx ui-monospace, 'DejaVu Sans Mono', monospace; } .frame { cursor: pointer; }
.frame:hover rect { stroke: #222; } .found rect { fill: #d6249f; } .found text { fill: #fff; } .around { opacity: .55; }
.title { font: 600 16px system-ui, sans-serif; } .note { font: 12px system-ui, sans-serif; fill: #555; }
input { font: 13px system-ui, sans-serif; width: 100%%; box-sizing: border-box; }""" % LETTER_SIZE


def legend(height):
    x = MARGIN
    for kind, words in KIND_WORDS.items():
        yield f'<rect x="{x}" y="{height - 22}" width="12" height="12" rx="2" fill="{colour(Frame("", kind))}"/>'
        yield f'<text class="note" x="{x + 17}" y="{height - 12}">{words}</text>'
        x += 40 + 5.8 * len(words)


def svg(folded, title, note, script):
    """The lines of the picture; `script` is bench/show/flame.js."""
    root = Node(Frame("all", "thread"))
    for stack, weight in folded.items():
        root.add(stack, weight)
    everything = root.weight or 1
    drawn = [each for each in root.boxes() if each[0].weight * (WIDTH - 2 * MARGIN) >= WIDTH_MIN * everything]
    height = HEAD + FOOT + ROW * (1 + max(depth for _, _, depth in drawn))
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    yield f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
    yield f'<text class="title" x="{MARGIN}" y="24">{html.escape(title)}</text><text class="note" id="note" x="{MARGIN}" y="44">{html.escape(note)}</text>'
    yield (f'<foreignObject x="{WIDTH - 300 - MARGIN}" y="8" width="300" height="30"><input xmlns="http://www.w3.org/1999/xhtml" id="search" '
           'type="search" placeholder="search: a regular expression" aria-label="search"/></foreignObject>')
    yield f'<text class="note" id="found" x="{WIDTH - MARGIN}" y="52" text-anchor="end"></text>'
    for node, left, depth in drawn:
        yield box(node, left, depth, everything, height)
    yield from legend(height)
    yield f'<script data-margin="{MARGIN}" data-width="{WIDTH}" data-letter="{LETTER}"><![CDATA[\n{script}]]></script></svg>'
