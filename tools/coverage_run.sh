#!/usr/bin/env bash
# Run one test with its profile in a file of its own: programs whose counters are laid out alike would be taken for one.
# %c: it is the file that counts, not a table that is written at exit (see .bazelrc).
export LLVM_PROFILE_FILE=$WEFT_COVERAGE_DIR/${TEST_TARGET//[^a-z0-9_]/-}.%c%m.profraw
exec "$@"
