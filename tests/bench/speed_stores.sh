#!/usr/bin/env bash
# `make bench-stores`: the same big stream as `make bench`, into a MinIO server on loopback and back, beside a local directory,
# beside restic on the same server, and beside what the server takes from its maker's own client; then the same 50 ms away.
#   RUNS=5        rounds; in each round every tool runs once, in turn; medians are printed
#   SIZE_MB=2048
# LIFEBOAT_STREAM=FILE and LIFEBOAT_DELAY=FILE use examples that are already built.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/measure.sh"

runs=${RUNS:-5}
size_mb=${SIZE_MB:-2048}

"$bench_dir/install.sh" bench-stores
if [ -n "${LIFEBOAT_STREAM:-}" ]; then
  stream=$(realpath "$LIFEBOAT_STREAM")
  delay=$(realpath "${LIFEBOAT_DELAY:?}")
else
  say "building lifeboat (release profile)"
  (cd "$root_dir" && cargo build --quiet --release --example stream --example delay)
  stream=$CARGO_TARGET_DIR/release/examples/stream
  delay=$CARGO_TARGET_DIR/release/examples/delay
fi
reference=$cache/reference-$size_mb-$(sha256sum "$bench_dir/reference.sql" | cut -c-8).stream
[ -f "$reference" ] || die "make bench makes the reference stream: run it once, RUNS=1 make bench"

# Room for the stream and for two repositories at a time.
memory=${TMPDIR:-/tmp}
if [ "$(df -Pm /dev/shm 2>/dev/null | awk 'NR == 2 {print $4}')" -gt $((size_mb * 5)) ] 2>/dev/null; then memory=/dev/shm; fi
work=$(mktemp -d "$memory/lifeboat-stores.XXXXXX")
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  cd / && rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
cd "$work"
cp "$reference" one

export MINIO_ROOT_USER=bench MINIO_ROOT_PASSWORD=bench-secret
port=$(free_port)
mkdir server
"$minio" server --quiet --address "127.0.0.1:$port" server >server.log 2>&1 &
pids+=($!)
for ((try = 0; try < 100; try++)); do (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
"$delay" "127.0.0.1:$port" 25 >far.port &
pids+=($!)
for ((try = 0; try < 100; try++)); do [ -s far.port ] && break; sleep 0.1; done
far=$(cat far.port)

# A bucket on a server with one drive is a folder: that is how an empty one is made, and how its space is given back.
fresh() { rm -rf "server/$1" && mkdir "server/$1"; }

export RESTIC_PASSWORD=bench RESTIC_CACHE_DIR=$work/restic.cache
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD AWS_REGION=us-east-1
export stream restic objects port far
# shellcheck disable=SC2016
measured() {
  case $1 in
    client-put) echo '"$objects" put "127.0.0.1:$port" client pieces' ;;
    client-get) echo '"$objects" get "127.0.0.1:$port" client' ;;
    local-backup) echo '"$stream" backup local.repository one' ;;
    local-read) echo '"$stream" cat local.repository' ;;
    minio-backup) echo '"$stream" backup "minio+http://127.0.0.1:$port/b-minio/repo" one' ;;
    minio-read) echo '"$stream" cat "minio+http://127.0.0.1:$port/b-minio/repo"' ;;
    s3-backup) echo '"$stream" backup "s3://b-s3/repo?endpoint=http://127.0.0.1:$port&region=us-east-1" one' ;;
    s3-read) echo '"$stream" cat "s3://b-s3/repo?endpoint=http://127.0.0.1:$port&region=us-east-1"' ;;
    far-backup) echo '"$stream" backup "minio+http://127.0.0.1:$far/b-far/repo" one' ;;
    far-read) echo '"$stream" cat "minio+http://127.0.0.1:$far/b-far/repo"' ;;
    restic-backup) echo '"$restic" -r "s3:http://127.0.0.1:$port/b-restic" backup -q --stdin <one' ;;
    restic-read) echo '"$restic" -r "s3:http://127.0.0.1:$port/b-restic" dump -q latest stdin' ;;
    restic-far-backup) echo '"$restic" -r "s3:http://127.0.0.1:$far/b-restic-far" backup -q --stdin <one' ;;
    restic-far-read) echo '"$restic" -r "s3:http://127.0.0.1:$far/b-restic-far" dump -q latest stdin' ;;
  esac
}

say "$runs rounds with $size_mb MB in $memory, $(nproc) processors"
for ((round = 1; round <= runs; round++)); do
  for pair in local minio s3 restic far restic-far; do
    fresh "b-$pair" # the plain name `minio` is one that no bucket may have
    rm -rf restic.cache bucket.*
    case $pair in
      restic) "$restic" -r "s3:http://127.0.0.1:$port/b-restic" init -q ;;
      restic-far) "$restic" -r "s3:http://127.0.0.1:$far/b-restic-far" init -q ;;
    esac
    timed "$pair-backup"
    timed "$pair-read"
    if [ "$round" = 1 ]; then bash -c "$(measured "$pair-read")" | cmp - one || die "$pair returned other bytes"; fi
    if [ "$pair" = local ]; then
      # The same objects, sealed already, by the maker's own client.
      mkdir pieces && find local.repository/data -type f -exec mv -t pieces {} +
      fresh client
      timed client-put
      timed client-get
      rm -rf pieces local.repository* server/client
    fi
    rm -rf "server/b-$pair"
  done
  printf '    round %s of %s\n' "$round" "$runs" >&2
done

# wanted TEXT SLOWEST_OF_TWO NAME PERCENT: is NAME at least so fast as PERCENT of the slower of two?
wanted() {
  awk -v t="$1" -v a="$(median "$2" 2)" -v b="$(median "$3" 2)" -v own="$(median "$4" 2)" -v l="$5" \
    'BEGIN {slow = (a > b) ? a : b; r = 100 * slow / own; printf "%-52s %4.0f %%   wanted: at least %s %%   %s\n", t, r, l, (r >= l) ? "ok" : "MISSED"}'
}
printf '\n%-44s %8s %8s %12s\n' "median of $runs" seconds MB/s 'max RSS MB'
for what in backup read; do
  line local-$what "lifeboat $what, local directory"
  line client-"$([ $what = backup ] && echo put || echo get)" "the server's own client, the same objects"
  line minio-$what "lifeboat $what, minio driver"
  line s3-$what "lifeboat $what, s3 driver"
  line restic-$what "restic $restic_version $what"
  line far-$what "lifeboat $what, minio driver, 50 ms away"
  line restic-far-$what "restic $restic_version $what, 50 ms away"
done
echo
for driver in minio s3; do
  wanted "backup: $driver driver to the slower of disk and client" local-backup client-put $driver-backup 80
  wanted "read: $driver driver to the slower of disk and client" local-read client-get $driver-read 80
done
wanted 'backup, 50 ms away: to the same without' minio-backup minio-backup far-backup 60
wanted 'read, 50 ms away: to the same without' minio-read minio-read far-read 60
peak {local,minio,s3,far}-{backup,read}
