"""fuzz_target: one function that takes bytes, as a test over its corpus, and under --config=fuzz as a libFuzzer program."""

load("//tools:layer.bzl", "weft_copts")

def fuzz_target(name, deps, srcs = [], copts = []):
    """A program of <name>.c and corpus/<name>/.

    Args:
      name: the target's; under --config=fuzz its arguments are libFuzzer's
      deps: the rooms that it drives
      srcs: more sources
      copts: after the house's own
    """
    corpus = native.glob(["corpus/%s/*" % name])
    native.cc_test(
        name = name,
        size = "small",
        srcs = srcs + [
            name + ".c",
            "fuzz.c",
            "fuzz.h",
        ] + select({
            "//tools:fuzz": [],
            "//conditions:default": ["driver.c"],
        }),
        args = select({
            "//tools:fuzz": [],
            "//conditions:default": ["tests/fuzz/corpus/" + name],
        }),
        # The plain harness's spelling of CHECK, which fuzz.c answers; there is no harness.
        local_defines = ["WEFT_TEST_PLAIN"],
        copts = weft_copts([]) + copts,
        data = corpus,
        linkopts = select({
            "//tools:fuzz": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = deps + [
            "//include/weft:headers",
            "//lib/base",
            "//tests/support:check",
        ],
    )
