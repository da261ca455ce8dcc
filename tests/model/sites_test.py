#!/usr/bin/env python3
"""Is every ordered atomic of the product in a suite's hands, does README.md say what became of each mutant, and is each suite a full one?"""

import collections
import os
import pathlib
import re
import subprocess
import sys

ORDERED = re.compile(r"\bweft_atomic_(load|store|exchange|add|sub|or|and|cas|fence)_(acquire|release|acq_rel|seq_cst)(?:_by_rmw)?\b")
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def source_sites(roots):
    """How often each file uses each ordered operation."""
    count = collections.Counter()
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                if not name.endswith((".c", ".h")) or path.endswith("include/weft/atomic.h"):
                    continue
                with open(path, encoding="utf-8") as file:
                    text = COMMENT.sub("", file.read())
                for kind, order in ORDERED.findall(text):
                    count[(name, f"{kind}_{order}")] += 1
    return count


def owned_sites(programs):
    """The same of what the suites own, and all mutants."""
    sites = collections.defaultdict(set)
    mutants = []
    for program in programs:
        listing = subprocess.run([program, "--mutants"], check=True, capture_output=True, text=True).stdout
        for mutant in listing.split():
            site = mutant.split(">")[0]
            file, _, operation = site.split(":")
            sites[(file, operation.split("#")[0])].add(site)
            mutants.append(mutant)
    return sites, mutants


def small_suites(text, programs):
    """Each suite has a model of three threads, and one with two steps swapped, as README.md tells."""
    suites = {part.split("\n")[0]: part for part in text.split("\n### ")[1:]}
    told = [suites.get(pathlib.Path(program).name, "") for program in programs]
    wanted = ((r"\([3-9] threads;", "model of three threads"), ("With two steps swapped", "model with two steps swapped"))
    return [f"README.md has no {what} in {pathlib.Path(program).name}" for program, part in zip(programs, told) for pattern, what in wanted
            if not re.search(pattern, part)]


def main():
    programs = [argument for argument in sys.argv[1:] if not argument.startswith("--")]  # the others are for the suites: a longer budget
    here = pathlib.Path(__file__).resolve().parent  # in the tree, behind the runfiles' link
    root = here.parent.parent
    wanted = source_sites([root / "lib", root / "include"])
    owned, mutants = owned_sites(programs)
    text = (here / "README.md").read_text(encoding="utf-8")
    missing = [f"{file}: {operation}: {count} in the source, {len(owned[(file, operation)])} owned"
               for (file, operation), count in sorted(wanted.items()) if len(owned[(file, operation)]) < count]
    untold = [f"README.md does not say what became of {mutant}" for mutant in mutants if f"`{mutant}`" not in text]
    stale = [f"README.md has {name}, which is no mutant" for name in re.findall(r"^\| `([^`]*>[^`]*)` \|", text, re.M) if name not in mutants]
    small = small_suites(text, programs)
    for line in missing + untold + stale + small:
        print("FAIL", line)
    sites = sum(len(each) for each in owned.values())
    print(f"{sum(wanted.values())} ordered atomics in the source, {sites} sites owned, {len(mutants)} mutants")
    failed = len(missing) + len(untold) + len(stale) + len(small)
    print(f"{1 if failed == 0 else 0} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
