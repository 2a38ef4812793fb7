#!/usr/bin/env bash
# `make bench-prune`: time and memory of planning a prune over many backups of one large source.
#   RUNS=3 BACKUPS=100 CHUNKS=240000   a terabyte has 240,000 chunks; each backup changes a twentieth of them
# The lists are real, the chunks are empty files; all of it lies in memory.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

runs=${RUNS:-3}
backups=${BACKUPS:-100}
chunks=${CHUNKS:-240000}

say "building lifeboat (release profile)"
(cd "$root_dir" && cargo build --quiet --release --bin lifeboat --example lists)
program=$CARGO_TARGET_DIR/release/lifeboat

memory=${TMPDIR:-/tmp}
if [ "$(df -Pm /dev/shm 2>/dev/null | awk 'NR == 2 {print $4}')" -gt 8000 ] 2>/dev/null; then memory=/dev/shm; fi
work=$(mktemp -d "$memory/lifeboat-prune.XXXXXX")
trap 'cd / && rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
cd "$work"
"$program" init store --generate-keys keys -q >/dev/null
sed -i 's/^  objectives:/  retention: {last: 100}\n  objectives:/' keys/policy.yaml
say "making $backups backups of $chunks chunks"
"$CARGO_TARGET_DIR/release/examples/lists" . "$backups" "$chunks"

for ((round = 1; round <= runs; round++)); do
  /usr/bin/time -o time.txt -f '%e %M %U %S' "$program" prune -f keys/policy.yaml --json -q >report.json 2>errors.txt || {
    cat errors.txt >&2
    die "prune failed"
  }
  cat time.txt >>results.txt
done
median() { awk -v c="$1" '{print $c}' results.txt | sort -n | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }
field() { jq -r "$1" report.json; }
seconds=$(median 1)
megabytes=$(median 2 | awk '{print $1 / 1024}')
read_mb=$(field '.cost.read_bytes / 1e6 | round')
printf '\nprune plan over %s backups x %s chunks, medians of %s runs\n' "$backups" "$chunks" "$runs"
printf '  objects listed %s, dead %s; lists read %s MB in %s reads\n' "$(field '[.sources[].objects] | add')" "$(field '[.sources[].dead_objects] | add')" "$read_mb" "$(field .cost.reads)"
awk -v s="$seconds" -v b="$backups" 'BEGIN {printf "  time   %6.1f s   wanted: under 60    %s   (1,000 backups: about %.0f s)\n", s, (s < 60) ? "ok" : "MISSED", s * 1000 / b}'
awk -v m="$megabytes" 'BEGIN {printf "  memory %6.0f MB  wanted: under 300   %s\n", m, (m < 300) ? "ok" : "MISSED"}'
