#!/usr/bin/env bash
# `make check`: everything that needs no server. Says aloud what it could not check.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root_dir"

start=$(now)
skipped=()

say "shell scripts"
scripts=(.ci/run tests/bench/*.sh tests/bench/node/*.sh)
for script in "${scripts[@]}"; do bash -n "$script"; done
command -v shellcheck >/dev/null || tests/bench/install.sh check || say "shellcheck could not be installed"
if command -v shellcheck >/dev/null; then shellcheck -x -P SCRIPTDIR "${scripts[@]}"; else skipped+=(shellcheck); fi

say "cargo fmt"
cargo fmt --check
say "cargo clippy"
cargo clippy --all-targets -- -D warnings
say "each driver alone"
# Only the program: its tests want all of them.
for feature in s3 minio gcs; do cargo clippy --quiet --bin lifeboat --no-default-features --features "$feature" -- -D warnings; done
say "cargo doc"
RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --document-private-items --quiet

say "cargo deny"
# Not advisories: they need a download, and change without a change of ours.
if command -v cargo-deny >/dev/null; then cargo deny --all-features check bans licenses sources; else skipped+=(cargo-deny); fi

[ ${#skipped[@]} = 0 ] || say "NOT CHECKED, because not installed: ${skipped[*]}"
say "check passed in $(since "$start") s"
