"""The rooms of lib/: who may include whom. The one place where the table lives; tools/tidy.py reads it too."""

# Room -> the rooms that it may include. A room with a slash is a part of one: a target (and a header) of its own.
ROOMS = {
    "base": [],
    "lockfree": ["base"],
    "sched": ["base", "lockfree"],
    "poll/operation": ["base"],
    "poll": ["base", "poll/operation"],
    "loop": ["base", "sched", "poll", "poll/operation"],
    "task": ["base", "lockfree", "sched", "loop"],
    "net": ["base", "loop", "task", "poll/operation"],
    "runtime": ["base", "sched", "poll", "poll/operation", "loop", "task", "net"],
}

# Room -> the public headers (include/weft/<name>.h) that are its own.
PUBLIC_HEADERS = {
    "base": ["atomic", "context", "memory", "status", "work"],
    "poll/operation": ["operation", "sockets"],
    "poll": ["poller", "sim"],
    "loop": ["loop", "timer"],
    "lockfree": ["job_stack"],
    "task": ["coro", "executor", "fiber", "future", "gather", "group", "job", "lock", "step", "task"],
    "net": ["protocol", "resolve", "server", "stream", "transport"],
    "runtime": ["runtime"],
}

# Strict enough for everybody's code; C only where the option is.
WEFT_COPTS = [
    "-D_GNU_SOURCE",
    "-Wextra",
    "-Werror",
    "-Wpointer-arith",
    "-Wvla",
]

WEFT_CONLYOPTS = [
    "-Wmissing-prototypes",
    "-Wstrict-prototypes",
]

# What makes an error of ours harder to use against a program. tests/build looks for each in what was built; the linker's part is in
# .bazelrc. Not for the benches, which are built as the peers that they are compared with: a body that forks has a slot in its frame, and
# guarding that frame costs it 0.7 ns.
WEFT_HARDENING = ["-fstack-protector-strong"] + select({
    # The C library asks the optimiser how large an object is. Twice, since the toolchain's own 1 comes first.
    "//tools:optimised": ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"],
    "//conditions:default": [],
}) + select({
    "@platforms//cpu:aarch64": ["-fstack-clash-protection", "-mbranch-protection=standard"],
    "@platforms//cpu:x86_64": ["-fstack-clash-protection", "-fcf-protection"],
    "//conditions:default": [],
})

def _visibility(room):
    if room not in ROOMS:
        fail("tools/layer.bzl knows no room called " + room)
    above = [other.split("/")[0] for other, below in ROOMS.items() if room in below]
    packages = ["//lib/%s:__subpackages__" % name for name in above + [room.split("/")[0]]]
    return packages + ["//:__pkg__", "//tests:__subpackages__", "//bench:__subpackages__", "//tools:__subpackages__"]

def weft_copts(srcs):
    """The options for our own sources, which may be a select."""
    only_c = type(srcs) != type([]) or not [name for name in srcs if name.endswith(".cc")]
    return WEFT_COPTS + (WEFT_CONLYOPTS if only_c else [])

def weft_library(name, room, srcs = [], hdrs = [], deps = [], copts = [], **kwargs):
    """A cc_library that is seen by the rooms above `room`, and by tests, benches and tools.

    Args:
      name: as in cc_library
      room: a key of ROOMS
      srcs: as in cc_library
      hdrs: as in cc_library
      deps: as in cc_library; the public headers are always there
      copts: after the house's own
      **kwargs: handed to cc_library
    """
    native.cc_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        copts = weft_copts(srcs) + WEFT_HARDENING + copts,
        visibility = kwargs.pop("visibility", _visibility(room)),
        deps = deps + ([] if "//include/weft:headers" in str(deps) else ["//include/weft:headers"]),
        **kwargs
    )
