#!/usr/bin/env bash
# `make bench`: time and memory of writing and reading one big stream, against restic and against bare zstd | sha256.
#   RUNS=5      rounds; in each round every tool runs once, in turn, so that a noisy minute hits all of them; medians are printed
#   SIZE_MB=2048
# The reference stream: half a real pg_dump of the tables of reference.sql, half bytes that do not compress. All data stays in memory.
# LIFEBOAT_STREAM=FILE uses an `examples/stream` that is already built.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/measure.sh"

runs=${RUNS:-5}
size_mb=${SIZE_MB:-2048}
size=$((size_mb << 20))

"$bench_dir/install.sh" bench
if [ -n "${LIFEBOAT_STREAM:-}" ]; then stream=$(realpath "$LIFEBOAT_STREAM"); else
  say "building lifeboat (release profile)"
  (cd "$root_dir" && cargo build --quiet --release --example stream)
  stream=$CARGO_TARGET_DIR/release/examples/stream
fi

# Room for the stream, its changed copy, and one repository of each tool.
memory=${TMPDIR:-/tmp}
if [ "$(df -Pm /dev/shm 2>/dev/null | awk 'NR == 2 {print $4}')" -gt $((size_mb * 5)) ] 2>/dev/null; then memory=/dev/shm; fi
work=$(mktemp -d "$memory/lifeboat-speed.XXXXXX")
server_pid=
cleanup() {
  [ -z "$server_pid" ] || server_stop "$server_pid"
  cd / && rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
chmod 711 "$work"
cd "$work"

reference=$cache/reference-$size_mb-$(sha256sum "$bench_dir/reference.sql" | cut -c-8).stream
if [ ! -f "$reference" ]; then
  say "making the reference stream (once; it is cached)"
  port=$(free_port)
  export PGPASSWORD=bench
  server_start "$work/server" "$port" "$PGPASSWORD"
  (
    export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres PGDATABASE=postgres
    # One unit dumps to 9.6 MB; a little too much is cut off.
    "$pg15_bin/psql" -qX -v ON_ERROR_STOP=1 -v "units=$((size_mb / 2 / 9 + 1))" -f "$bench_dir/reference.sql"
    "$pg15_bin/pg_dump" -Fc -Z0 | { head -c $((size / 2)) && cat >/dev/null; } >dump
  )
  server_stop "$server_pid"
  server_pid=
  [ "$(stat -c %s dump)" = $((size / 2)) ] || die "the dump is too short for the reference stream"
  { cat dump && head -c $((size / 2)) /dev/urandom; } >"$reference.new"
  mv "$reference.new" "$reference"
  rm -rf dump server
fi
cp "$reference" one

# The second day: 5 % of the bytes are new, in a hundred places.
cp one two
for part in {0..99}; do
  dd if=/dev/urandom of=two bs=$((size / 2000)) count=1 seek=$((part * size / 100)) oflag=seek_bytes conv=notrunc status=none
done

export RESTIC_PASSWORD=bench RESTIC_REPOSITORY=$work/restic.repository RESTIC_CACHE_DIR=$work/restic.cache
# shellcheck disable=SC2016
measured() {
  case $1 in
    floor) echo 'zstd -q -1 -T2 -c one | openssl dgst -sha256' ;;
    restic-backup) echo '"$restic" backup -q --stdin <one' ;;
    lifeboat-backup) echo '"$stream" backup lifeboat.repository one' ;;
    restic-second) echo '"$restic" backup -q --stdin <two' ;;
    lifeboat-second) echo '"$stream" backup lifeboat.repository two' ;;
    restic-read) echo '"$restic" dump -q latest stdin' ;;
    lifeboat-read) echo '"$stream" cat lifeboat.repository' ;;
  esac
}
export restic stream
order="floor restic-backup lifeboat-backup restic-second lifeboat-second restic-read lifeboat-read"

say "$runs rounds with $size_mb MB in $memory, $(nproc) processors"
for ((round = 1; round <= runs; round++)); do
  rm -rf restic.repository restic.cache lifeboat.repository*
  "$restic" init -q
  for name in $order; do
    timed "$name"
  done
  if [ "$round" = 1 ]; then # outside the clock: both read back what went in
    bash -c "$(measured restic-read)" | cmp - two || die "restic returned other bytes"
    bash -c "$(measured lifeboat-read)" | cmp - two || die "lifeboat returned other bytes"
  fi
  printf '    round %s of %s\n' "$round" "$runs" >&2
done
du -sm restic.repository lifeboat.repository | awk '{print $2, $1}' >sizes.txt

# wanted TEXT A B LIMIT least|most: is the ratio of two medians as it should be?
wanted() {
  awk -v t="$1" -v a="$(median "$2" 2)" -v b="$(median "$3" 2)" -v l="$4" -v w="$5" \
    'BEGIN {r = a / b; printf "%-52s %5.2f   wanted: at %s %s   %s\n", t, r, w, l, ((w == "least") ? r >= l : r <= l) ? "ok" : "MISSED"}'
}
printf '\n%-44s %8s %8s %12s\n' "median of $runs" seconds MB/s 'max RSS MB'
line floor 'zstd -1 -T2 | openssl sha256 (the floor)'
line restic-backup "restic $restic_version backup"
line lifeboat-backup 'lifeboat backup'
line restic-second 'restic second backup, 5 % changed'
line lifeboat-second 'lifeboat second backup, 5 % changed'
line restic-read 'restic dump'
line lifeboat-read 'lifeboat cat'
echo
wanted 'backup: restic / lifeboat' restic-backup lifeboat-backup 2 least
wanted 'backup: lifeboat / floor' lifeboat-backup floor 1.8 most
wanted 'read: restic / lifeboat' restic-read lifeboat-read 1.8 least
peak lifeboat-backup lifeboat-second lifeboat-read
awk '{printf "%-52s %5d MB\n", "size of two backups: " $1, $2}' sizes.txt
