#!/usr/bin/env bash
# `make demo`: a real Postgres server is filled, backed up, proved, destroyed and brought back, with the real binary.
# Everything lives in one scratch directory; when the demo ends, however it ends, nothing is left of it.
# LIFEBOAT_BIN=FILE uses a binary that is already built.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

"$bench_dir/install.sh" demo
build_lifeboat

scratch=$(mktemp -d "${TMPDIR:-/tmp}/lifeboat-demo.XXXXXX")
server_pid=
step=starting
finished=
cleanup() {
  [ -z "$server_pid" ] || server_stop "$server_pid"
  cd / && rm -rf "$scratch"
  [ -n "$finished" ] || printf '\nTHE DEMO FAILED at: %s\n' "$step" >&2
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
chmod 711 "$scratch" # the server's own user passes through, and sees nothing
cd "$scratch"

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
number=0
headline() { step="$((number += 1)). $1"; printf '\n%s%s%s\n' "$bold" "$step" "$plain"; }
note() { printf '   %s\n' "$@"; }
row() { printf '%2s. %-62.62s %7s s\n' "$number" "$1" "$2" >>times.txt; }
# run COMMAND...: shows it as one would type it, its output, its seconds.
run() {
  local start code=0 typed
  typed=$(printf '%q ' "$@")
  printf '%s$ %s%s\n' "$dim" "${typed//"$lifeboat"/lifeboat}" "$plain"
  start=$(now)
  "$@" || code=$?
  local took
  took=$(since "$start")
  printf '%s(%s s)%s\n' "$dim" "$took" "$plain"
  row "${typed//"$lifeboat"/lifeboat}" "$took"
  [ $code = 0 ] || { printf 'exit code %s\n' "$code" >&2; return $code; }
}

port=$(free_port)
url=postgres://postgres@127.0.0.1:$port
# PGPASSWORD is what the policy and the restore read, as psql would.
export PGPASSWORD=the-old-server-s-password
sql() { "$pg15_bin/psql" -h 127.0.0.1 -p "$port" -U postgres -qAtX -v ON_ERROR_STOP=1 "$@"; }
ledger='Ledger 2024 "EU"'

# One line per database, and one for the roles: the hash of everything that pg_dump and pg_dumpall can say about it.
# Left out: the random \restrict token, the tool's version, and the superuser's own password (a restore never changes the account
# that it connects with: you would lock yourself out).
fingerprints() {
  local connection=(-h 127.0.0.1 -p "$port" -U postgres) database
  sql -d postgres -c 'SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1' | while read -r database; do
    "$pg15_bin/pg_dump" "${connection[@]}" --create "$(conninfo "$database")" | grep -Ev '^\\(un)?restrict |^-- Dumped ' |
      sha256sum | sed "s/-\$/database $database/"
  done
  "$pg15_bin/pg_dumpall" "${connection[@]}" --globals-only | grep -Ev '^\\(un)?restrict |^ALTER ROLE postgres ' |
    sha256sum | sed 's/-$/roles and passwords/'
}
# A database name as a connection string, so that a name with = or :// in it stays a name.
conninfo() { local name=${1//\\/\\\\}; printf "dbname='%s'" "${name//\'/\\\'}"; }

repository_size() { du -sm repository | cut -f1; }

headline "Start a real Postgres 15 server and fill it"
start=$(now)
server_start "$scratch/server" "$port" "$PGPASSWORD"
sql -d postgres <<SQL
CREATE ROLE shop_owner LOGIN PASSWORD 'owner''s "secret"' CONNECTION LIMIT 50;
CREATE ROLE "Reporting Team" LOGIN PASSWORD 'reports' IN ROLE pg_read_all_settings;
CREATE DATABASE shop OWNER shop_owner;
CREATE DATABASE "${ledger//\"/\"\"}";
ALTER DATABASE shop SET statement_timeout = '90s';
ALTER ROLE "Reporting Team" IN DATABASE shop SET work_mem = '32MB';
COMMENT ON DATABASE shop IS 'the shop: lose it and we are out of business';
REVOKE CONNECT ON DATABASE shop FROM PUBLIC;
GRANT CONNECT ON DATABASE shop TO "Reporting Team";
SQL
PGUSER=shop_owner PGPASSWORD="owner's \"secret\"" "$pg15_bin/psql" -h 127.0.0.1 -p "$port" -qX -v ON_ERROR_STOP=1 -f "$bench_dir/demo.sql" shop >/dev/null
(
  export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres PGDATABASE=$ledger
  "$pg15_bin/pgbench" -i -s 4 -q >pgbench.log 2>&1
  "$pg15_bin/pgbench" -n -c 2 -t 1000 >>pgbench.log 2>&1
) || { cat pgbench.log; exit 1; }
sql -d postgres -c "SELECT format('   database %-18s %s', datname, pg_size_pretty(pg_database_size(oid))) FROM pg_database WHERE datallowconn ORDER BY 1"
note "two roles with passwords, a view, a materialized view, a function, a trigger, a large object"
row "start and fill a Postgres server" "$(since "$start")"

headline "Create a repository, and the keys that protect it"
run "$lifeboat" init "file://$scratch/repository" --generate-keys keys
note "The server that makes backups gets only public keys: it can not read what it has written."

headline "Say what to back up: the generated policy.yaml, with our server in it"
awk '
  /^  sources:/ {skipping = 1; next}
  skipping && (/^  [^ #-]/ || /^[^ ]/) {skipping = 0}
  !skipping {print}
' keys/policy.yaml >policy.new
cat >>policy.new <<YAML
  sources:
  - name: postgres
    postgres: {host: 127.0.0.1, port: $port, user: postgres, password: {env: PGPASSWORD}, databases: all, tls: {mode: disable}}
YAML
cat policy.new >keys/policy.yaml
sed 's/^/   /' keys/policy.yaml
policy=keys/policy.yaml
key=keys/identity.txt

headline "Ask whether this will work, before relying on it"
run "$lifeboat" check -f $policy

headline "Back it up"
run "$lifeboat" backup -f $policy | tee backup.out
first_run=$(grep -E '^[0-9A-Z]{26}$' backup.out | tail -1)
first_size=$(repository_size)
note "run $first_run; the repository holds $first_size MB"
run "$lifeboat" list -f $policy

headline "Prove it by a rehearsal: restore it into a throw-away server, compare every table, throw the server away"
note "Loading a backup runs its code, so that server has no network, sees none of our files, and takes all it started along."
run "$lifeboat" verify latest --level restored -f $policy --identity $key

headline "Write down what the server holds (a fingerprint per database, by pg_dump, not by lifeboat)"
fingerprints >before
sed 's/^\(.\{16\}\)[0-9a-f]*/   \1…/' before

headline "DISASTER: the server and its data are gone; an empty one with another password takes its place"
server_stop "$server_pid"
server_pid=
rm -rf server
export PGPASSWORD=the-new-server-has-another-one
server_start "$scratch/server" "$port" "$PGPASSWORD"
sql -d postgres -c "SELECT '   databases: ' || string_agg(datname, ', ') FROM pg_database WHERE datallowconn"
fingerprints >empty
! diff -q before empty >/dev/null || die "the new server is not empty"

headline "Look at the plan first: nothing is done yet"
run "$lifeboat" plan restore latest --source postgres --to "$url" --identity $key -f $policy

headline "RESTORE everything to the new server"
run "$lifeboat" restore latest --source postgres --to "$url" --identity $key -f $policy --yes

headline "Compare with the fingerprints from before"
fingerprints >after
different=0
while read -r hash what; do
  if grep -qxF "$hash  $what" after; then verdict=identical; else verdict=DIFFERENT different=1; fi
  note "$(printf '%-32s %s' "$what" "$verdict")"
done <before
cmp -s <(cut -c67- before) <(cut -c67- after) || { note "other databases than before:"; cat after; different=1; }
[ $different = 0 ] || die "the restored server is not the one that was lost"
PGUSER=shop_owner PGPASSWORD="owner's \"secret\"" "$pg15_bin/psql" -h 127.0.0.1 -p "$port" -AtX -c "SELECT '   and the shop logs in with its old password: ' || count(*) || ' orders' FROM orders" shop

headline "A day later: a few new orders, a second backup"
sql -d shop -c "INSERT INTO orders (customer, placed, state, signature) SELECT i, '2025-06-01', 'open', sha256(i::text::bytea) FROM generate_series(1, 1000) i"
run "$lifeboat" backup -f $policy
run "$lifeboat" list -f $policy
second_size=$(repository_size)
note "the first backup took $first_size MB in the repository, the second added $((second_size - first_size)) MB"

headline "What can be proved, and to anyone: signed, with what was checked and when"
run "$lifeboat" proof list -f $policy
run "$lifeboat" proof verify "$first_run" -f $policy

printf '\n%sSummary%s\n' "$bold" "$plain"
cat times.txt
printf '\n%sThe server was destroyed and came back identical. Nothing is left running; the scratch directory is removed.%s\n' "$bold" "$plain"
finished=yes
