"""model_test: a suite of models, with the product's source compiled into the checker."""

load("//tools:layer.bzl", "weft_copts")

# Plain loads and stores call the checker, which brings what ThreadSanitizer's runtime would; that one is not linked.
MODEL_COPTS = [
    "-DWEFT_ATOMIC_MODEL",
    "-fsanitize=thread",
    "-U__SANITIZE_THREAD__",
    "-U_FORTIFY_SOURCE",
    "-fno-builtin",
    "-O1",
    "-include",
    "tests/model/world.h",
]

# The checker is one itself; and it knows one processor's stacks.
NOT_UNDER_SANITIZERS = select({
    "//tools:asan": ["//tools:incompatible"],
    "//tools:tsan": ["//tools:incompatible"],
    "//tools:msan": ["//tools:incompatible"],
    "//tools:emulated": ["//tools:incompatible"],
    "//conditions:default": [],
})

def model_test(name, srcs, lib, size = "medium", copts = [], deps = [], tags = [], **kwargs):
    """A cc_test that searches models.

    Args:
      name: as in cc_test
      srcs: the models
      lib: the product's source files that are checked, as labels
      size: as in cc_test
      copts: for all of them
      deps: as in cc_test
      tags: as in cc_test
      **kwargs: handed to cc_test
    """
    native.cc_test(
        name = name,
        srcs = srcs + lib + ["//lib/base:memory.c"],
        copts = weft_copts(srcs) + MODEL_COPTS + copts,
        size = size,
        tags = tags,
        malloc = "@bazel_tools//tools/cpp:malloc",
        deps = deps + [
            "//include/weft:headers",
            "//tests/model:checker",
            "//tests/model:product_headers",
        ],
        target_compatible_with = NOT_UNDER_SANITIZERS,
        **kwargs
    )

def model_sites_test(name):
    """Do the suites of this package own every ordered atomic of the product, and is README.md true? Last in its BUILD file.

    Args:
      name: as in sh_test
    """
    suites = [":" + rule for rule in native.existing_rules() if rule.endswith("_model")]
    native.sh_test(
        name = name,
        size = "small",
        srcs = ["sites_test.py"],
        args = ["$(rootpath %s)" % suite for suite in suites],
        data = suites + ["README.md"],
        tags = ["external"],
        target_compatible_with = NOT_UNDER_SANITIZERS,
    )
