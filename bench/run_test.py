#!/usr/bin/env python3
"""What bench/run.py asks of contestants that are made up, in which order, and what is left of a run that fails or is ended."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, "bench")  # the runfiles' folder, not the one that this file's link leads to
sys.dont_write_bytecode = True

import run  # noqa: E402

# One that notes what it is asked in the file `log` beside it; and does not do all of it, if its name says so.
CONTESTANT = r"""#!/bin/sh
name=${0##*/}
case $1 in
--who) echo "$name" ;;
--list) [ "$name" != weft ] && printf 'echo one\necho other\n' || printf 'echo one\necho other\necho one_stream\n' ;;
*)
    echo "$name $2 $4${5:+ quick}" >>"${0%/*}/log"
    [ "$name $2" != "breaks other" ] || exit 1
    [ "$name $2 $5" != "ends other " ] || { kill -TERM $PPID && exec sleep 60; }
    echo "{\"bench\":\"$1\",\"case\":\"$2\",\"loops\":$4,\"unit\":\"ns\",\"value\":${#name}}"
    ;;
esac
"""


class Played:
    """A run of such contestants: what they were asked, what it wrote and said, and how it ended."""

    def __init__(self, names, *words):
        with tempfile.TemporaryDirectory() as place:
            for name in (*names, "ask"):
                with open(os.path.join(place, name), "w", encoding="utf-8") as stream:
                    stream.write("#!/bin/sh\n" if name == "ask" else CONTESTANT)
                os.chmod(os.path.join(place, name), 0o755)
            run.HERE, run.ASK, run.OURS = place, os.path.join(place, "ask"), names
            said, path = io.StringIO(), os.path.join(place, "figures")
            with contextlib.redirect_stdout(said):
                self.status = run.main(["--peers=none", f"--json={path}", *words])
            self.said = said.getvalue()
            with open(os.path.join(place, "log"), encoding="utf-8") as stream:
                self.asked = [line.strip() for line in stream]
            with open(path, encoding="utf-8") as stream:
                self.lines = [json.loads(line) for line in stream]

    def runs(self):
        """By case and who, with one loop, how often there is a value."""
        return {(line["case"], line["who"]): line["runs"] for line in self.lines if line["loops"] == 1}


class Impatient(Played):
    """One where `dozes` takes too long for what is other, without that anybody waits for it."""

    def __init__(self, *words):
        self.dozed, output_of = [], run.output_of

        def output_or_timeout(command, timeout=60):
            if os.path.basename(command[0]) == "dozes" and "other" in command:
                self.dozed.append(timeout)
                raise subprocess.TimeoutExpired(command, timeout)
            return output_of(command, timeout)

        run.output_of = output_or_timeout
        super().__init__(*words)
        run.output_of = output_of


WHOLE = Played(("weft", "peer"), "--loops=1,2")
QUICK = Played(("weft", "peer"), "--loops=1", "--quick", "echo.other")
BROKEN = Played(("weft", "breaks"), "--loops=1")
SLOW = Impatient(("weft", "dozes"), "--loops=1", "--patience=9")
ENDED = Played(("weft", "ends"), "--loops=1")

ROUND_OF_ONE = ["weft one 1", "weft one_stream 1", "peer one 1", "weft one 2", "weft one_stream 2", "peer one 2"]
ROUND_OF_OTHER = ["weft other 1", "peer other 1", "weft other 2", "peer other 2"]

RUNS = {
    "a case's rounds are over before the next one begins, and the second ways are among them": (
        WHOLE.asked, [words + " quick" for words in ROUND_OF_ONE] + 5 * ROUND_OF_ONE + [words + " quick" for words in ROUND_OF_OTHER] + 5 * ROUND_OF_OTHER),
    "what warms up does not count": (set(WHOLE.runs().values()), {5}),
    "a value is held against the peer's": ([row[-1] for row in map(str.split, WHOLE.said.splitlines()) if row[:2] == ["echo.other", "weft"]], ["1.00"] * 2),
    "the file says where it was": (sum(line.get("machine") is not None for line in WHOLE.lines), 1),
    "all is well": (WHOLE.status, 0),
    "a look is one round": (QUICK.asked, ["weft other 1 quick", "peer other 1 quick"]),
    "what fails has no figure, and the others have theirs": (
        BROKEN.runs(), {("one", "weft"): 5, ("one_stream", "weft"): 5, ("one", "breaks"): 5, ("other", "weft"): 5}),
    "what fails is said once": (BROKEN.said.count("FAILED: echo.other breaks loops 1: "), 1),
    "who is too slow is asked once, and missing with the reason": (
        [SLOW.dozed, [line["who"] for line in SLOW.lines if line.get("missing")], SLOW.status], [[9], ["dozes"], 0]),
    "a run that is ended keeps what it has": (
        ENDED.runs(), {("one", "weft"): 5, ("one_stream", "weft"): 5, ("one", "ends"): 5, ("other", "weft"): 1}),
    "and shows it": (["echo.one  " in ENDED.said, "interrupted" in ENDED.said], [True, True]),
    "a failure is a status": ([BROKEN.status, ENDED.status], [1, 1]),
}


def main():
    wrong = [f"{name}: {got!r} instead of {expected!r}" for name, (got, expected) in RUNS.items() if got != expected]
    for problem in wrong:
        print(problem)
    print(f"{len(RUNS)} cases, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
