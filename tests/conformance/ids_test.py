#!/usr/bin/env python3
"""The tables of README.md against the rules in the sources: none is claimed that is not there, and none is forgotten."""

import glob
import os
import re
import sys

FOLDER = os.path.join("tests", "conformance")


def expand(first, last):
    """LOOP-1, LOOP-3 -> LOOP-1, LOOP-2, LOOP-3."""
    family, start = first.rsplit("-", 1)
    return [f"{family}-{number}" for number in range(int(start), int(last.rsplit("-", 1)[1]) + 1)]


def ids_in(text):
    ids = []
    for first, last in re.findall(r"\b([A-Z]+-\d+)(?:…([A-Z]+-\d+))?", text):
        ids += expand(first, last) if last else [first]
    return ids


def section(text, title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.M | re.S).group(1)


def ids_of_source(path):
    with open(path, encoding="utf-8") as stream:
        rules = re.findall(r"^(?:Task)?Rule\((\w+?)_(\d+),", stream.read(), re.M)
    return {f"{family}-{number}" for family, number in rules}


def problems_of(readme, sources):
    contract = ids_in(section(readme, "The contract"))
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", section(readme, "Covered"), re.M))
    covered = {name: set(ids_in(row)) for name, row in rows.items()}
    missing = set(ids_in("\n".join(re.findall(r"^\|([^|]*)\|", section(readme, "Not covered"), re.M))))
    for name in sorted(covered.keys() | sources.keys()):
        claimed, present = covered.get(name, set()), sources.get(name, set())
        yield from (f"README.md says that {name} covers {rule}; it does not" for rule in sorted(claimed - present))
        yield from (f"{name} covers {rule}; README.md does not say so" for rule in sorted(present - claimed))
    everywhere = set().union(*covered.values())
    yield from (f"{rule} is called covered and not covered" for rule in sorted(everywhere & missing))
    yield from (f"{rule} is in neither table" for rule in contract if rule not in everywhere | missing)
    yield from (f"{rule} is not in the contract" for rule in sorted((everywhere | missing) - set(contract)))


def check_that_it_bites():
    readme = "## The contract\nA-1…A-3\n## Covered\n| `x_test` | A-1 |\n## Not covered\n| A-2 | why |\n"
    assert list(problems_of(readme, {"x_test": {"A-1"}})) == ["A-3 is in neither table"]
    assert len(list(problems_of(readme.replace("A-2 |", "A-2, A-3 |"), {"x_test": {"A-1"}}))) == 0
    assert len(list(problems_of(readme.replace("A-2 |", "A-2, A-3 |"), {"x_test": set()}))) == 1
    assert len(list(problems_of(readme.replace("A-2 |", "A-2, A-3 |"), {"x_test": {"A-1", "A-2"}}))) == 1


def main():
    check_that_it_bites()
    with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as stream:
        readme = stream.read()
    sources = {os.path.basename(path)[:-2]: ids_of_source(path) for path in glob.glob(os.path.join(FOLDER, "*_test.c"))}
    problems = list(problems_of(readme, sources))
    print("\n".join(problems) or f"{sum(len(ids) for ids in sources.values())} ids in {len(sources)} files")
    return 1 if problems or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
