#!/bin/sh
# Fuzz each target for a while (60 s), or those that are named: tests/fuzz/run.sh [seconds [target...]]
# New inputs and what fails go to ${TMPDIR:-/tmp}/weft-fuzz/<target>; the corpus stays as it is. Fails at the end if any target has.
set -u
cd "$(dirname "$0")/../.." || exit 2
seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- $(ls tests/fuzz/corpus)
failed=

for target in "$@"; do
    found=${TMPDIR:-/tmp}/weft-fuzz/$target
    mkdir -p "$found/inputs"
    echo "$target: $seconds s"
    # What the library allocates is counted by fuzz.c, exactly; LeakSanitizer would look after every input that warms something up.
    tools/bazel run --config=fuzz --ui_event_filters=error --noshow_progress "//tests/fuzz:$target" -- \
        -max_total_time="$seconds" -max_len=400 -len_control=0 -timeout=20 -detect_leaks=0 -artifact_prefix="$found/" \
        "$found/inputs" "$PWD/tests/fuzz/corpus/$target" >"$found/log" 2>&1 || failed="$failed $target"
    grep -E 'DONE|SUMMARY|: not so|, not |Test unit written' "$found/log"
done

[ -z "$failed" ] || echo "failed:$failed; see the logs in ${TMPDIR:-/tmp}/weft-fuzz"
[ -z "$failed" ]
