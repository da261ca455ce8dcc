"""gcc for another machine: the detection that finds the machine's own, shown Debian's cross compiler. See tools/apt-packages-cross.txt."""

load("@bazel_tools//tools/cpp:cc_configure.bzl", "cc_autoconf_impl")

# The names by which the detection asks, where Debian's have the machine's in front.
_TOOLS = ["ar", "cpp", "dwp", "gcc", "gcov", "ld", "nm", "objcopy", "objdump", "strip"]

def _cross_autoconf_impl(repository_ctx):
    prefix = repository_ctx.attr.machine + "-linux-gnu-"
    if not repository_ctx.which(prefix + "gcc"):
        repository_ctx.file("BUILD", "")
        return
    found = {}
    for tool in _TOOLS:
        path = repository_ctx.which(prefix + tool)
        if path:
            # In the repository, or the detection would have the compiler look for `as` and `ld` beside itself, and find the host's.
            repository_ctx.file("bin/" + tool, "#!/bin/sh\nexec %s \"$@\"\n" % path)
            found[tool] = str(repository_ctx.path("bin/" + tool))
        else:
            found[tool] = "/bin/false"
    cc_autoconf_impl(repository_ctx, found)

cross_autoconf = repository_rule(
    implementation = _cross_autoconf_impl,
    attrs = {"machine": attr.string(mandatory = True)},
    configure = True,
    environ = ["PATH", "BAZEL_LINKLIBS"],
)
