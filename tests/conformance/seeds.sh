#!/usr/bin/env bash
# The rules on four loops of a simulated runtime, in as many worlds as there are seeds: who takes a turn, who is late, what is stolen and
# how much a read gives is drawn from each. usage: seeds.sh [--seeds=N] [--first=N] <test program>...
set -uo pipefail
seeds=2
first=1
programs=()
for word in "$@"; do
    case $word in
    --seeds=*) seeds=${word#*=} ;;
    --first=*) first=${word#*=} ;;
    *) programs+=("$word") ;;
    esac
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
played=0
for ((seed = first; seed < first + seeds; seed++)); do
    for program in "${programs[@]}"; do
        for storm in "" 1; do
            played=$((played + 1))
            WEFT_CONFORMANCE_SEED=$seed ${storm:+env WEFT_CONFORMANCE_STORM=1} "$program" '--filter=sim_x4*/*' >"$log" 2>&1 && continue
            failed=$((failed + 1))
            cat "$log"
            echo "again: WEFT_CONFORMANCE_SEED=$seed${storm:+ WEFT_CONFORMANCE_STORM=1} bazel-bin/$program '--filter=sim_x4*/*'"
        done
    done
done
echo "$((played - failed)) passed, $failed failed"
[[ $failed == 0 && $played -gt 0 ]]
