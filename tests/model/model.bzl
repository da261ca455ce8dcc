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

def model_test(name, srcs, lib, size = "small", copts = [], deps = [], tags = [], **kwargs):
    """A cc_test that searches models.

    Args:
      name: as in cc_test
      srcs: the models
      lib: the product's source files that are checked, as labels
      size: as in cc_test
      copts: for all of them
      deps: as in cc_test
      tags: as in cc_test; no sanitizer, the checker is one itself
      **kwargs: handed to cc_test
    """
    native.cc_test(
        name = name,
        srcs = srcs + lib + ["//lib/base:memory.c"],
        copts = weft_copts(srcs) + MODEL_COPTS + copts,
        size = size,
        tags = tags + ["no-sanitizer"],
        malloc = "@bazel_tools//tools/cpp:malloc",
        deps = deps + [
            "//include/weft:headers",
            "//tests/model:checker",
            "//tests/model:product_headers",
        ],
        **kwargs
    )
