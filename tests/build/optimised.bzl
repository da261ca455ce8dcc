"""optimised: files as `-c opt` builds them, whatever this build is."""

def _to_opt(_settings, _attr):
    return {"//command_line_option:compilation_mode": "opt"}

_opt = transition(
    implementation = _to_opt,
    inputs = [],
    outputs = ["//command_line_option:compilation_mode"],
)

def _optimised_impl(ctx):
    files = depset(transitive = [target[DefaultInfo].files for target in ctx.attr.targets])
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files))]

optimised = rule(
    implementation = _optimised_impl,
    attrs = {
        "targets": attr.label_list(cfg = _opt),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
)
