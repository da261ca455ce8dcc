"""Add up the tests of one Bazel run: its event file on stdin, its exit status as the argument; prints "<passed> <failed>".

A target whose log has totals (Criterion's synthesis line, or "N passed, N failed") counts with those; any other counts as one test.
"""

import json
import re
import sys
import urllib.parse

SYNTHESIS = re.compile(r"Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)


def read_log(result):
    for output in result.get("testActionOutput", []):
        if output["name"] == "test.log":
            path = urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
            with open(path, encoding="utf-8", errors="replace") as stream:
                return re.sub(r"\x1b\[[0-9;]*m", "", stream.read())
    return ""


def count(result):
    is_passed = result["status"] in ("PASSED", "FLAKY")
    totals = [tuple(map(int, match)) for match in SYNTHESIS.findall(read_log(result)) or PLAIN.findall(read_log(result))[-1:]]
    passed = sum(total[0] for total in totals)
    failed = sum(sum(total[1:]) for total in totals)
    if is_passed:
        return passed or 1, 0
    return passed, failed or 1


def main():
    results = {}
    for line in sys.stdin:
        event = json.loads(line)
        if "testResult" in event:
            results[json.dumps(event["id"]["testResult"].get("label")) + str(event["id"]["testResult"].get("shard"))] = event["testResult"]
    counts = [count(result) for result in results.values()]
    passed = sum(passed for passed, _ in counts)
    failed = sum(failed for _, failed in counts)
    if sys.argv[1] != "0" and not failed:
        failed = 1
    print(passed, failed)


main()
