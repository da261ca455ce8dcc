#!/usr/bin/env bash
# The demo as a person runs it: with load and a table, as a server that Ctrl-C stops, and with options it does not know.
set -euo pipefail

demo=tools/demo/demo
folder=$(mktemp -d /tmp/weft-demo-XXXXXX)
server=
trap '[[ -z $server ]] || kill -KILL "$server" 2>/dev/null; rm -rf "$folder"' EXIT

fail() {
    printf 'demo_test: %s\n' "$*" >&2
    cat "$folder"/* >&2 2>/dev/null || true
    exit 1
}

# Its port, once it has said so.
port_of() {
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        sed -n 's|.*http://127.0.0.1:\([0-9]*\)/.*|\1|p' "$1" | grep . && return
        sleep 0.05
    done
    return 1
}

measures_under_load() {
    BUILD_WORKING_DIRECTORY=$folder "$demo" --seconds 1 --connections 8 --loops 2 --json figures.json >"$folder/out" || fail "no exit 0"
    tail -n 1 "$folder/out" | cmp - "$folder/figures.json" || fail "the last line is not what --json wrote"
    python3 -c '
import json, sys
lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
figures = json.loads(lines[-1])
assert figures["requests"] > 0 and figures["requests_per_s"] > 0 and figures["errors"] == 0
assert 0 < figures["latency_us"]["p50"] <= figures["latency_us"]["p99"] <= figures["latency_us"]["p99.9"]
assert len(figures["loops"]) == 2
assert all(loop["completed_for_others"] > 0 for loop in figures["loops"])
assert sum(loop["requests"] for loop in figures["loops"]) >= figures["requests"]
computing = figures["computing"]
assert computing["requests"] > 0 and computing["errors"] == 0
assert 0 < computing["latency_us"]["p50"] <= computing["latency_us"]["p99"] <= computing["latency_us"]["p99.9"]
assert sum(loop["stolen_jobs"] + loop["stolen_tasks"] for loop in computing["loops"]) > 0
assert [work["name"] for work in figures["computations"]] == ["fib", "matrix", "tree"]
for work in figures["computations"]:
    assert min(work["serial_ns"], work["one_loop_ns"], work["all_loops_ns"]) > 0
    assert work["speed_up_over_one_loop"] > 0 and work["speed_up_over_serial"] > 0
assert sum(work["rounds_while_serving"] for work in figures["computations"]) > 0
assert {task["name"] for task in figures["tasks"]} >= {"main", "compute", "serve 0", "serve 1", "rally with 0", "rally with 1"}
assert all(task["ran_on"] < 2 for task in figures["tasks"])
assert max(len(line) for line in lines[:-1]) <= 100
assert not any("\033" in line for line in lines)
' "$folder/out" || fail "the table or its figures are wrong"
}

serves_until() {
    local signal=$1 port
    "$demo" --serve --port 0 --loops 2 >"$folder/serving-$signal" &
    server=$!
    port=$(port_of "$folder/serving-$signal") || fail "no URL"
    [[ $(curl -sS "http://127.0.0.1:$port/plaintext") == "Hello, World!" ]] || fail "/plaintext"
    curl -sS "http://127.0.0.1:$port/" | grep -q "served this page" || fail "/"
    curl -sS "http://127.0.0.1:$port/tasks" | grep -q "main " || fail "/tasks"
    kill "-$signal" "$server"
    wait "$server" || fail "no exit 0 after SIG$signal"
    server=
    grep -q '^stopped$' "$folder/serving-$signal" || fail "it did not say that it stopped"
    ! curl -sS "http://127.0.0.1:$port/" 2>/dev/null || fail "it still listens"
}

refuses() {
    local code=0
    "$demo" "$@" >/dev/null 2>"$folder/usage" || code=$?
    [[ $code == 2 ]] || fail "$* ended with $code"
    grep -q '^Usage: ' "$folder/usage" || fail "$* shows no usage"
}

needs_wrk() {
    local code=0
    PATH=$folder "$demo" --seconds 1 >"$folder/out" 2>"$folder/missing" || code=$?
    [[ $code == 1 && $(wc -l <"$folder/missing") == 1 && ! -s $folder/out ]] || fail "without wrk: $code"
}

measures_under_load
serves_until INT
serves_until TERM
refuses --seconds 0
refuses --port 65536
refuses --loops many
refuses --what
refuses more
needs_wrk
"$demo" --help | grep -q '^Usage: ' || fail "--help"
