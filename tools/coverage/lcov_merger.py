#!/usr/bin/env python3
"""Turn the gcov files of one test into lcov: Bazel calls this after each test of `bazel coverage`."""

import glob
import gzip
import json
import sys


def option(name):
    return next(arg.split("=", 1)[1] for arg in sys.argv if arg.startswith("--" + name + "="))


def records(path):
    with gzip.open(path, "rt") as stream:
        for source in json.load(stream)["files"]:
            yield "SF:" + source["file"]
            for line in source["lines"]:
                yield "DA:%d,%d" % (line["line_number"], line["count"])
                for number, branch in enumerate(line["branches"]):
                    yield "BRDA:%d,0,%d,%d" % (line["line_number"], number, branch["count"])
            yield "end_of_record"


with open(option("output_file"), "w") as out:
    for path in sorted(glob.glob(option("coverage_dir") + "/**/*.gcov.json.gz", recursive=True)):
        out.writelines(record + "\n" for record in records(path))
