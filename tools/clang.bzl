"""The clang toolchain: the same detection that finds gcc, told to take clang."""

load("@bazel_tools//tools/cpp:cc_configure.bzl", "cc_autoconf_impl")

def _clang_autoconf_impl(repository_ctx):
    clang = repository_ctx.which("clang")
    if clang:
        cc_autoconf_impl(repository_ctx, {"gcc": str(clang)})
    else:
        repository_ctx.file("BUILD", "")

clang_autoconf = repository_rule(
    implementation = _clang_autoconf_impl,
    configure = True,
    environ = ["PATH", "BAZEL_LINKLIBS"],
)
