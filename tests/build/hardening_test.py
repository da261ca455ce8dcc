#!/usr/bin/env python3
"""Each hardening of tools/layer.bzl and .bazelrc is found in what `-c opt` built: the archives of lib/, and the demo as a program."""

import glob
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
PROGRAM = os.path.join(ROOT, "tools/demo/demo")
ARCHIVES = sorted(glob.glob(os.path.join(ROOT, "lib/**/*.a"), recursive=True))
SWITCHES = [path for path in ARCHIVES if os.path.basename(path).startswith("libfiber_switch.")]
ENDBR = {"Advanced Micro Devices X86-64": "endbr64", "AArch64": "bti"}


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout


def machine():
    return re.search(r"Machine:\s+(.*)", run("readelf", "-hW", PROGRAM)).group(1).strip()


def segments():
    """(type, flags) of each program header."""
    for line in run("readelf", "-lW", PROGRAM).splitlines():
        match = re.match(r"  ([A-Z_]+)\s+0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([RWE ]{3}) ", line)
        if match:
            yield match.group(1), match.group(2)


def of_the_program():
    dynamic = run("readelf", "-dW", PROGRAM)
    headers = list(segments())
    yield "is position-independent", re.search(r"FLAGS_1\).*\bPIE\b", dynamic) and "DYN" in run("readelf", "-hW", PROGRAM)
    yield "binds all before it starts", "BIND_NOW" in dynamic
    yield "has its relocated data read-only", any(kind == "GNU_RELRO" for kind, _ in headers)
    yield "has no stack that is executable", [flags for kind, flags in headers if kind == "GNU_STACK"] == ["RW "]
    yield "has no segment that is writable and executable", headers and not any("W" in flags and "E" in flags for _, flags in headers)
    yield "has no relocation in its text", "TEXTREL" not in dynamic


def wanted(archives):
    """Member -> the symbols that it takes from elsewhere."""
    found = {}
    for archive in archives:
        for line in run("nm", "-A", "-u", archive).splitlines():
            words = line.split()
            found.setdefault(words[0], set()).add(words[-1])
    return found


def stacks_of(archive):
    """Each member's mark, that its code wants no executable stack: without one the linker takes it that it does."""
    sections = run("readelf", "-SW", archive)
    members = sections.count("There are ")
    marks = re.findall(r"\.note\.GNU-stack\s+PROGBITS\s+\w+ \w+ \w+ \w+\s+([WAX ]*)\s+\d+\s+\d+\s+\d+", sections)
    return members, sum("X" not in mark for mark in marks)


def of_the_archives():
    symbols = wanted(ARCHIVES)
    guarded = [member for member, names in symbols.items() if "__stack_chk_fail" in names]
    checked = set().union(*symbols.values())
    stacks = [stacks_of(archive) for archive in ARCHIVES]
    # -fstack-protector alone guards one member in five: those with an array of bytes. The strong one, those with any array or address.
    yield "have the frames with arrays or addresses guarded", len(guarded) * 2 > len(symbols)
    # 2 checks sizes that are constant; 3 also those that a variable says, as of what cpu.c copies.
    yield "check sizes that are known only at run time", {"__snprintf_chk", "__memcpy_chk", "__strcpy_chk"} <= checked
    yield "say that their code needs no executable stack", all(members == marks > 0 for members, marks in stacks)


def code_of(archive):
    """(function, its instructions) for each function."""
    text = run("objdump", "-d", "--no-show-raw-insn", archive)
    for name, body in re.findall(r"^\w+ <([^>]+)>:\n((?:\s+\w+:.*\n)+)", text, re.M):
        yield name, [line.split("\t", 1)[1].strip() for line in body.splitlines()]


def of_the_code():
    landing = ENDBR[machine()]
    functions = [item for archive in SWITCHES for item in code_of(archive)]
    yield "in assembly start with %s" % landing, len(functions) >= 3 and all(body[0].startswith(landing) for _, body in functions)
    compiled = [item for archive in ARCHIVES for item in code_of(archive)]
    yield "touch each page of a large frame in turn", landing != "endbr64" or any(
        re.match(r"or[ql]\s+\$0x0,\(%rsp\)", line) for _, body in compiled for line in body)
    exported = [body for name, body in compiled if re.fullmatch(r"weft_\w+", name)]
    yield "of the API start with %s" % landing, exported and all(re.match(landing + "|paciasp", body[0]) for body in exported)


def main():
    if machine() not in ENDBR:
        print("not for", machine())
        return 0
    failed = ["%s %s" % (who, claim) for who, claims in (
        ("the program", of_the_program()),
        ("the archives", of_the_archives()),
        ("the functions", of_the_code()),
    ) for claim, holds in claims if not holds]
    for claim in failed:
        print("not so: %s" % claim)
    return 1 if failed or not ARCHIVES else 0


sys.exit(main())
