#!/usr/bin/env python3
"""The goals of tools/coverage.py, held against reports that are made up: what is missed is named, and what is not is no problem."""

import os
import sys

sys.path.insert(0, "tools")  # the runfiles' folder, not the one that this file's link leads to
sys.dont_write_bytecode = True

import coverage  # noqa: E402

ALL = {"lines": (1000, 1000), "branches": (1000, 1000)}


def branch(line, true, false):
    return [line, 8, line, 20, true, false, 0, 0, 4]


def entry(*branches):
    return {"branches": list(branches), "segments": []}


def complete():
    return {name: entry(branch(7, 3, 4)) for name in coverage.EVERY_BRANCH}


def without(name):
    files = complete()
    del files[name]
    return files


def problems(files, **totals):
    return list(coverage.problems(files, {**ALL, **totals}))


FIRST = coverage.EVERY_BRANCH[0]

# What is shown: what coverage.problems() says, and what it should say.
CASES = {
    "a complete report has no problem": (problems(complete()), []),
    "a file without a branch has no problem": (problems({**complete(), FIRST: entry()}), []),
    "a side that was not taken is one": (problems({**complete(), FIRST: entry(branch(7, 3, 4), branch(9, 3, 0))}), [FIRST + ": not every branch"]),
    "sides that two copies of a branch took are both taken": (problems({**complete(), FIRST: entry(branch(7, 3, 0), branch(7, 0, 4))}), []),
    "a side that was not taken elsewhere is none": (problems({**complete(), "lib/other.c": entry(branch(7, 0, 4))}), []),
    "a file that is absent is one": (problems(without(FIRST)), [FIRST + ": not in the report"]),
    "an empty report is one for each file": (problems({}), [name + ": not in the report" for name in coverage.EVERY_BRANCH]),
    "too few lines are one": (problems(complete(), lines=(949, 1000)), ["total: below 95 % of lines or 90 % of branches"]),
    "too few branches are one": (problems(complete(), branches=(899, 1000)), ["total: below 95 % of lines or 90 % of branches"]),
    "just enough is enough": (problems(complete(), lines=(950, 1000), branches=(900, 1000)), []),
}


def moved():
    """What the list names and the tree has not: a file that was moved would be asked for in vain."""
    root = os.path.dirname(os.path.realpath("WORKSPACE"))
    return [name for name in coverage.EVERY_BRANCH if not os.path.isfile(os.path.join(root, name))]


def main():
    failed = 0
    for title, (found, wanted) in {**CASES, "every file of the list is there": (moved(), [])}.items():
        print("ok: " + title if found == wanted else f"FAIL: {title}: {found}, not {wanted}")
        failed += found != wanted
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
