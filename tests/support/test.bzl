"""weft_test: a Criterion program, or the same bodies with the plain main where Criterion is not."""

load("//tools:layer.bzl", "weft_copts")

def weft_test(name, srcs, deps = [], data = [], size = "small", tags = [], copts = [], **kwargs):
    """A cc_test whose bodies are written with tests/support/test.h.

    Args:
      name: as in cc_test
      srcs: as in cc_test
      deps: as in cc_test; the harness, wait_until() and the public headers are always there
      data: as in cc_test
      size: as in cc_test
      tags: as in cc_test
      copts: after the house's own
      **kwargs: handed to cc_test
    """
    native.cc_test(
        name = name,
        srcs = srcs,
        copts = weft_copts(srcs) + copts,
        data = data,
        size = size,
        tags = tags,
        deps = deps + [
            "//include/weft:headers",
            "//tests/support:sanitizer",
            "//tests/support:test",
            "//tests/support:wait",
        ],
        **kwargs
    )
