#!/usr/bin/env bash
# Run one test with its profile in a file of its own: programs whose counters are laid out alike would be taken for one.
export LLVM_PROFILE_FILE=$WEFT_COVERAGE_DIR/${TEST_TARGET//[^a-z0-9_]/-}.%m.profraw
exec "$@"
