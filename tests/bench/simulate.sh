#!/usr/bin/env bash
# `make simulate`: the simulation alone, optimised, on one thread, so that its operations a second mean something: TRIALS
# (default 2,000) divided among its scenes, every mutation, and a year of each plan of retention. Needs no server.
# LIFEBOAT_SEED repeats the seeds of a run.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root_dir"

export LIFEBOAT_SOAK=1 LIFEBOAT_TRIALS=${TRIALS:-2000} CARGO_PROFILE_DEV_OPT_LEVEL=1
cargo test --lib -- simulation:: --nocapture --test-threads=1 "$@"
