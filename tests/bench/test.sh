#!/usr/bin/env bash
# `make test`: install, build, run; says how long the first two took (cargo's own last line says it of the tests).
# LIFEBOAT_BENCH=embedded runs only the tests that need no server. Arguments go to `cargo test`.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root_dir"

start=$(now)
if [ "${LIFEBOAT_BENCH:-}" = embedded ]; then
  say "LIFEBOAT_BENCH=embedded: nothing is installed or started. LEFT OUT: every test against Postgres 15 and 18, and stock-tool restore"
else
  tests/bench/install.sh test
  variables=$(tests/bench/env.sh)
  eval "$variables"
fi
installing=$(since "$start")

start=$(now)
cargo test --no-run "$@"
say "installing took $installing s, building $(since "$start") s; how long the tests took is in the 'finished in' lines below"
exec cargo test "$@"
