#!/usr/bin/env python3
"""Tidy: what STYLE asks of the tree and a program can check.

Each check is a function over a Tree that yields "path:line: what is wrong". tidy_test.py runs them all as part of the suite, and first
shows that each still bites. By hand, from the top of the tree: tools/tidy.py [path prefix ...].
"""

import ast
import os
import re
import subprocess
import sys

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800
PAIRING_LINES = 6
CLANG_FORMAT = "clang-format-14"

CODE_FOLDERS = ("bench", "include", "lib", "tests", "tools")
TEXT_NAMES = ("BUILD", "WORKSPACE", "LICENSE", "bazel", "run")
TEXT_SUFFIXES = (".S", ".bzl", ".c", ".cc", ".go", ".h", ".md", ".py", ".rs", ".sh", ".txt")
WARNINGS = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I.", "-Iinclude"]


class Tree:
    """The files under a root, read once."""

    def __init__(self, root):
        self.root = root
        self.paths = sorted(self._walk())
        self._texts = {}

    def _walk(self):
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(("bazel-", "__pycache__")) and name != ".git"]
            for name in names:
                if name in TEXT_NAMES or name.endswith(TEXT_SUFFIXES):
                    yield os.path.relpath(os.path.join(folder, name), self.root)

    def text(self, path):
        if path not in self._texts:
            with open(os.path.join(self.root, path), encoding="utf-8") as stream:
                self._texts[path] = stream.read()
        return self._texts[path]

    def lines(self, path):
        return self.text(path).split("\n")

    def select(self, folders, suffixes=("",)):
        return [path for path in self.paths if path.startswith(tuple(f + "/" for f in folders)) and path.endswith(suffixes)]

    def layer(self, name):
        """A table of tools/layer.bzl: Starlark is close enough to Python to be read as such."""
        for node in ast.parse(self.text("tools/layer.bzl")).body:
            if isinstance(node, ast.Assign) and node.targets[0].id == name:
                return ast.literal_eval(node.value)
        raise KeyError(name)

    def run(self, command):
        return subprocess.run(command, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def blank(match):
    """What was matched, as spaces: lines and columns stay."""
    return re.sub(r"[^\n]", " ", match.group())


COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
STRING = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def c_functions(lines):
    """First and last line of each function body: clang-format puts its braces, and no others, at column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            yield start, number
            start = None


def shell_functions(lines):
    start = None
    for number, line in enumerate(lines, 1):
        if re.match(r"\w+\(\) [{(]$", line):
            start = number
        elif line in ("}", ")") and start:
            yield start, number
            start = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            yield node.lineno, node.end_lineno


def functions_of(tree, path):
    if path.endswith((".c", ".h", ".cc")):
        return c_functions(tree.lines(path))
    if path.endswith((".py", ".bzl")):
        return python_functions(tree.text(path))
    return shell_functions(tree.lines(path))


def check_lengths(tree):
    for path in tree.select(CODE_FOLDERS):
        count = len(tree.lines(path)) - 1
        if count > FILE_LINES_MAX and not path.endswith((".md", ".txt")):
            yield f"{path}:{FILE_LINES_MAX}: the file has {count} lines, more than {FILE_LINES_MAX}"
        for first, last in functions_of(tree, path):
            if last - first + 1 > FUNCTION_LINES_MAX:
                yield f"{path}:{first}: the function has {last - first + 1} lines, more than {FUNCTION_LINES_MAX}"


def check_opening(tree):
    for path in tree.select(CODE_FOLDERS, (".c", ".h")):
        if not tree.text(path).startswith("/*\n"):
            yield f"{path}:1: no opening paragraph: what lives here, who calls it, which invariant it keeps"


def guard_of(path):
    name = path[len("include/"):] if path.startswith("include/") else path
    return re.sub(r"[/.]", "_", name).upper()


def check_guards(tree):
    for path in tree.select(("include", "lib"), (".h",)):
        guard = guard_of(path)
        if f"#ifndef {guard}\n#define {guard}\n" not in tree.text(path):
            yield f"{path}:1: no include guard {guard}"


def room_of(path, rooms):
    """lib/poll/operation.h -> poll/operation, if there is such a room; else the folder."""
    parts = path.split("/")
    part = "/".join(parts[1:]).rsplit(".", 1)[0]
    return part if part in rooms else parts[1]


def room_of_include(name, rooms, headers):
    if name.startswith("weft/"):
        return headers.get(name[len("weft/"):-len(".h")])
    return room_of(name, rooms) if name.startswith("lib/") else None


def check_layering(tree):
    rooms = tree.layer("ROOMS")
    headers = {name: room for room, names in tree.layer("PUBLIC_HEADERS").items() for name in names}
    for path in tree.select(("include", "lib"), (".c", ".h", ".S")):
        room = room_of_include(path[len("include/"):], rooms, headers) if path.startswith("include/") else room_of(path, rooms)
        if room not in rooms:
            yield f"{path}:1: tools/layer.bzl does not say which room this belongs to"
            continue
        for match in re.finditer(r'^[ \t]*#[ \t]*include "([^"]+)"', tree.text(path), re.M):
            other = room_of_include(match.group(1), rooms, headers)
            is_model = path == "include/weft/atomic.h" and match.group(1).startswith("tests/model/")
            if other != room and other not in rooms[room] and not is_model:
                yield f"{path}:{line_of(tree.text(path), match.start())}: {room} may not include {match.group(1)} (tools/layer.bzl)"


def declarations(text):
    """(line, comment, code) of each declaration at file level. Ones on adjoining lines share the comment above the first."""
    code = re.sub(r'extern "C" \{', lambda m: " " * len(m.group()), DIRECTIVE.sub(blank, text))
    comments = [(m.end(), m.group()) for m in COMMENT.finditer(code)]
    code = COMMENT.sub(blank, code)
    start, depth, comment, last_end = 0, 0, "", 0
    for match in re.finditer(r"[{};]", code):
        depth += {"{": 1, "}": -1, ";": 0}[match.group()]
        depth = max(depth, 0)  # the brace that closes extern "C"
        is_body_end = match.group() == "}" and depth == 0 and "(" in code[start:match.start()].split("{")[0]
        if depth or not (match.group() == ";" or is_body_end):
            continue
        begin = start + len(code[start:]) - len(code[start:].lstrip())
        if "\n\n" in text[last_end:begin] or not comment or any(last_end < end <= begin for end, _ in comments):
            comment = "".join(body for end, body in comments if last_end < end <= begin)
        yield line_of(text, begin), comment, text[begin:match.end()]
        start = last_end = match.end()


def needs_contract(code):
    """Functions, types of functions, and tables of them; a single slot among data is not a table."""
    bare = COMMENT.sub("", code)
    if bare.startswith(("_Static_assert", "static_assert", "WEFT_")):
        return False
    if re.match(r"(typedef\s+)?(struct|union|enum)\b[^(;]*\{", bare):
        return len(re.findall(r"\(\*\w+\)\s*\(", bare)) > 1
    return "(" in bare.split("{")[0].split("=")[0]


def check_contracts(tree):
    for path in tree.select(("include",), (".h",)):
        for line, comment, code in declarations(tree.text(path)):
            if needs_contract(code) and "thread:" not in comment and "thread:" not in "".join(COMMENT.findall(code)):
                yield f"{path}:{line}: no contract with a thread: line above: {' '.join(code.split())[:60]}"


def check_pairing(tree):
    ordered = re.compile(r"\bweft_atomic_\w+_(acquire|release|acq_rel|seq_cst)(_by_rmw)?\b")
    for path in tree.select(("lib",), (".c", ".h")):
        lines = tree.lines(path)
        for number, line in enumerate(COMMENT.sub(blank, tree.text(path)).split("\n")):
            if ordered.search(line) and "Pairs with" not in " ".join(lines[max(0, number - PAIRING_LINES):number + 1]):
                yield f"{path}:{number + 1}: an ordered atomic, and no comment says what it \"Pairs with\""


def check_atomics(tree):
    direct = re.compile(r"\b__atomic_\w+|\b__sync_\w+|\b_Atomic\b|\bstdatomic\.h|\batomic_(load|store|fetch)\w*")
    for path in tree.select(("bench", "include", "lib", "tests"), (".c", ".h")):
        if path == "include/weft/atomic.h" or path.startswith(("tests/model/", "bench/peers/")):
            continue
        code = COMMENT.sub(blank, tree.text(path))
        for match in direct.finditer(code):
            yield f"{path}:{line_of(code, match.start())}: {match.group()} goes around weft/atomic.h"


def compiles_alone(tree, command, paths):
    for path in paths:
        result = tree.run(command + WARNINGS + [path])
        if result.returncode:
            yield f"{path}:1: does not compile alone with {' '.join(command)}:\n{result.stdout.strip()}"


def check_headers(tree):
    public = tree.select(("include",), (".h",))
    internal = tree.select(("lib", "tests/support"), (".h",))
    yield from compiles_alone(tree, ["gcc", "-std=c11", "-x", "c"], public)
    yield from compiles_alone(tree, ["g++", "-std=c++17", "-x", "c++"], public)
    yield from compiles_alone(tree, ["gcc", "-std=c11", "-D_GNU_SOURCE", "-x", "c"], internal)


def check_format(tree):
    paths = tree.select(CODE_FOLDERS, (".c", ".h"))
    result = tree.run([CLANG_FORMAT, "--dry-run", "-Werror", *paths]) if paths else None
    if result and result.returncode:
        places = sorted(set(re.findall(r"^(\S+?:\d+):\d+: error", result.stdout, re.M)))
        yield from (f"{place}: not as {CLANG_FORMAT} would write it" for place in places or [result.stdout.strip()])


def check_words(tree):
    """Paths of somebody's machine, and hosts that a build must not need. Spelled so that this file passes."""
    machine = r"(?<![\w.$}])/(?:[w]ork|[r]oot|[h]ome|[U]sers|[m]nt)/"
    hosts = r"\b(?:[p]ypi\.org|[c]rates\.io|[r]egistry\.npmjs\.org|[p]roxy\.golang\.org|[d]eb\.debian\.org)\b"
    forbidden = re.compile(f"{machine}|{hosts}")
    for path in tree.paths:
        for match in forbidden.finditer(tree.text(path)):
            yield f"{path}:{line_of(tree.text(path), match.start())}: {match.group()} has no place in the tree"


CHECKS = {
    "lengths": check_lengths,
    "opening": check_opening,
    "guards": check_guards,
    "layering": check_layering,
    "contracts": check_contracts,
    "pairing": check_pairing,
    "atomics": check_atomics,
    "headers": check_headers,
    "format": check_format,
    "words": check_words,
}


def main(prefixes):
    tree = Tree(".")
    problems = [problem for check in CHECKS.values() for problem in check(tree) if problem.startswith(tuple(prefixes or ("",)))]
    print("\n".join(problems) or "tidy")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
