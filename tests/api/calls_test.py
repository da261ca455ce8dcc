#!/usr/bin/env python3
"""Every public call that takes a pointer is given a bad one by a bad_input test: nobody can add a call and forget it."""

import glob
import os
import re

ROOT = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
COMMENT = re.compile(r"/\*.*?\*/", re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
DECLARATION = re.compile(r"^(?!static|typedef|extern)[a-z][\w ]*[ *](weft_\w+)\(([^;{]*)\);", re.M)
ELSEWHERE = {
    "weft_memory_set": "tests/base/memory_test.c",
    "weft_realloc": "tests/base/memory_test.c",
    "weft_free": "tests/base/memory_test.c",
    "weft_set_report_sink": "takes NULL for both",
    "weft_timer_init": "asserts, see weft/status.h",
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main():
    tests = "".join(read(path) for path in glob.glob(os.path.join(ROOT, "tests/api/bad_input*_test.c")))
    counts = {True: 0, False: 0}
    for path in sorted(glob.glob(os.path.join(ROOT, "include/weft/*.h"))):
        code = DIRECTIVE.sub("", COMMENT.sub("", read(path)))
        for name, arguments in DECLARATION.findall(code):
            if "*" not in arguments or name in ELSEWHERE:
                continue
            is_there = "%s(" % name in tests
            counts[is_there] += 1
            if not is_there:
                print("%s: no bad_input test calls %s()" % (os.path.basename(path), name))
    print("%d passed, %d failed" % (counts[True], counts[False]))
    return 1 if counts[False] or counts[True] < 100 else 0


if __name__ == "__main__":
    raise SystemExit(main())
