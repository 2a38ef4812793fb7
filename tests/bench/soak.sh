#!/usr/bin/env bash
# `make soak`: at least TRIALS trials (default 10,000) of what can go wrong: calls that fail or die, damage, full disks,
# hostile databases. Every test of the program takes part that knows a long form; the counts are summed by kind.
# LIFEBOAT_SEED repeats a run whose seed was printed. Arguments select tests.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root_dir"

trials=${TRIALS:-10000}
export LIFEBOAT_SOAK=1 LIFEBOAT_TRIALS=$trials
if [ "${LIFEBOAT_BENCH:-}" != embedded ]; then
  tests/bench/install.sh test
  variables=$(tests/bench/env.sh)
  eval "$variables"
fi
# Optimised, for several times the trials in the same time; arithmetic is checked all the same.
export CARGO_PROFILE_DEV_OPT_LEVEL=1
cargo test --test it --lib --no-run

log=$(mktemp)
trap 'rm -f "$log"' EXIT
start=$(now)
say "soak: $trials trials or more; this takes a while"
status=0
if [ "$#" = 0 ]; then
  # Each trial is some thousand calls of several programs at once; see src/simulation.
  cargo test --lib -- --nocapture simulation::tests::protocol simulation::tests::year >"$log" 2>&1 || status=$?
fi
cargo test --test it -- --nocapture "$@" >>"$log" 2>&1 || status=$?
grep -aoE '(LEFT OUT: |FAILED: |[a-z-]+: LIFEBOAT_SEED=|calls: ).*' "$log" || true
[ "$status" = 0 ] || grep -aE 'panicked at|^test .* FAILED|^error' -A 6 "$log" || true

# One line for each kind: soak: KIND trials=N failures=N
grep -aoE 'soak: [a-z-]+ trials=[0-9]+ failures=[0-9]+' "$log" | awk -v wanted="$trials" -v seconds="$(since "$start")" '
  { split($3, t, "="); split($4, f, "="); trials[$2] += t[2]; failures[$2] += f[2]; all += t[2]; bad += f[2] }
  END {
    for (kind in trials) printf "%-12s %7d trials %5d failures\n", kind, trials[kind], failures[kind] | "sort"
    close("sort")
    printf "%-12s %7d trials %5d failures in %d s\n", "all", all, bad, seconds
    if (all < wanted) { printf "error: %d trials were asked for\n", wanted; exit 1 }
    if (bad) exit 1
  }' || status=1
exit "$status"
