#!/usr/bin/env bash
# `make bench-cluster`: backup and restore of ConfigMaps of 1 to 10 KiB in four namespaces of a real API server on loopback, into a local
# directory, beside the barest clients that read and write the same objects.
#   RUNS=3          rounds; in each round every step runs once, in turn; medians are printed
#   SIZES='2000 20000'
# LIFEBOAT=FILE uses a program that is already built.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/measure.sh"

runs=${RUNS:-3}
sizes=${SIZES:-2000 20000}

"$bench_dir/install.sh" bench-cluster
if [ -z "${LIFEBOAT:-}" ]; then
  say "building lifeboat (release profile)"
  (cd "$root_dir" && cargo build --quiet --release)
  LIFEBOAT=$CARGO_TARGET_DIR/release/lifeboat
fi
lifeboat=$(realpath "$LIFEBOAT")

work=$(mktemp -d "${TMPDIR:-/tmp}/lifeboat-cluster.XXXXXX")
pids=()
cleanup() {
  # The store last: the others want it to the end.
  for ((n = ${#pids[@]} - 1; n >= 0; n--)); do kill "${pids[n]}" 2>/dev/null || true; wait "${pids[n]}" 2>/dev/null || true; done
  cd / && rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
cd "$work"

# run NAME ARGUMENTS...: one of the programs that are one file.
run() {
  local name=$1
  shift
  [ -e "$name" ] || ln -s "$kb" "$name"
  "./$name" "$@" >"$name.log" 2>&1 &
  pids+=($!)
}

# until_so COMMAND...
until_so() {
  for ((try = 0; try < 600; try++)); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  tail -n 5 ./*.log >&2
  die "not so after a minute: $*"
}

# The same servers with the same options as the tests start: tests/it/support/servers/kubernetes.rs.
# An authority and a certificate of the server: rustls takes none that is both.
for name in ca key; do openssl ecparam -name prime256v1 -genkey -noout -out $name.key; done
openssl req -x509 -key ca.key -out ca.pem -days 2 -subj /CN=authority
openssl req -x509 -CA ca.pem -CAkey ca.key -key key.key -out cert.pem -days 2 -subj /CN=bench \
  -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE
export TOKEN=token-of-admin CA=$work/ca.pem NAMESPACES='bench-1 bench-2 bench-3 bench-4'
printf '%s,admin,admin,system:masters\ntoken-of-controllers,system:kube-controller-manager,controllers,system:authenticated\n' "$TOKEN" >tokens.csv
store=http://127.0.0.1:$(free_port) peer=http://127.0.0.1:$(free_port) port=$(free_port)
export SERVER=https://127.0.0.1:$port
run etcd --name test --unsafe-no-fsync --log-level error --data-dir data --listen-client-urls "$store" --advertise-client-urls "$store" \
  --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "test=$peer" --quota-backend-bytes 4294967296
run kube-apiserver --etcd-servers="$store" --secure-port="$port" --bind-address=127.0.0.1 --advertise-address=127.0.0.1 \
  --endpoint-reconciler-type=none --authorization-mode=RBAC --allow-privileged=true --service-cluster-ip-range=10.96.0.0/16 \
  --service-account-issuer=https://test --token-auth-file=tokens.csv --tls-cert-file=cert.pem --tls-private-key-file=key.key \
  --client-ca-file=ca.pem --service-account-key-file=key.key --service-account-signing-key-file=key.key \
  --enable-priority-and-fairness=false --max-requests-inflight=0 --max-mutating-requests-inflight=0
# Answers as they are, as in a pod: near by, compression costs the server and us more than it saves.
kubeconfig() {
  jq -n --arg server "$SERVER" --arg ca "$(base64 -w0 ca.pem)" --arg token "$1" '{apiVersion: "v1", kind: "Config",
    clusters: [{name: "bench", cluster: {server: $server, "certificate-authority-data": $ca, "disable-compression": true}}], users: [{name: "bench", user: {token: $token}}],
    contexts: [{name: "bench", context: {cluster: "bench", user: "bench"}}], "current-context": "bench"}'
}
kubeconfig "$TOKEN" >admin.kubeconfig
kubeconfig token-of-controllers >controllers.kubeconfig
chmod 600 ./*.kubeconfig
[ -e kubectl ] || ln -s "$kb" kubectl
export KUBECONFIG=$work/admin.kubeconfig
until_so ./kubectl get --raw /readyz
run kube-controller-manager --kubeconfig=controllers.kubeconfig --authentication-kubeconfig=controllers.kubeconfig \
  --authorization-kubeconfig=controllers.kubeconfig --bind-address=127.0.0.1 --leader-elect=false --use-service-account-credentials=true \
  --secure-port="$(free_port)" --service-account-private-key-file=key.key --root-ca-file=ca.pem
for namespace in $NAMESPACES; do
  ./kubectl create namespace "$namespace" >/dev/null
  until_so ./kubectl -n "$namespace" get serviceaccount/default configmap/kube-root-ca.crt
done

# fresh: a repository without a backup. Its policy takes the four namespaces.
fresh() {
  rm -rf repo keys
  env -u LIFEBOAT_POLICY "$lifeboat" init "file://$work/repo" --generate-keys keys >/dev/null
  sed -i '/^  sources:/,$d' keys/policy.yaml
  printf '  sources:\n  - name: objects\n    cluster: {context: bench, namespaces: [%s]}\n' "${NAMESPACES// /, }" >>keys/policy.yaml
}
export LIFEBOAT_POLICY=$work/keys/policy.yaml LIFEBOAT_IDENTITY=$work/keys/identity.txt
export lifeboat
# shellcheck disable=SC2016
measured() {
  case $1 in
    backup-* | again-*) echo '"$lifeboat" backup' ;;
    restore-* | nothing-*) echo '"$lifeboat" restore latest --source objects --to cluster:bench --yes' ;;
  esac
}
# bare NAME ARGUMENTS...: how long it took, it says itself; without making the objects and connecting.
bare() {
  local took
  took=$("$kb_bare" "${@:2}")
  echo "$1 $took 0" >>results.txt
}

: >loads.txt
load() { cut -d' ' -f1 /proc/loadavg | tee -a loads.txt; }
for size in $sizes; do
  say "$size objects, $runs rounds, $(nproc) processors"
  for ((round = 1; round <= runs; round++)); do
    before=$(load)
    fresh
    bare "create-$size" create "$size"
    bare "list-$size" list
    timed "backup-$size"
    bare "list-$size" list
    timed "again-$size"
    timed "nothing-$size"
    wanted=$("$kb_bare" digest)
    "$kb_bare" delete
    timed "restore-$size"
    got=$("$kb_bare" digest)
    if [ "$got" != "$wanted" ] || [ "${got%% *}" != "$size" ]; then die "restored something else: $got instead of $wanted"; fi
    "$kb_bare" delete
    printf '    round %s of %s; load before and after: %s %s\n' "$round" "$runs" "$before" "$(load)" >&2
  done
done

row() { # NAME TEXT
  awk -v t="$2" -v s="$(median "$1" 2)" -v k="$(median "$1" 3)" -v n="${1#*-}" \
    'BEGIN {printf "%-52s %8.2f %10.0f %10s\n", t, s, n / s, (k > 0) ? sprintf("%.0f", k / 1024) : "-"}'
}
# goal TEXT NAME BASE SECONDS: at most 1.5 times BASE, or at most SECONDS where that is said.
goal() {
  awk -v t="$1" -v own="$(median "$2" 2)" -v base="$(median "$3" 2)" -v s="${4:-0}" \
    'BEGIN {r = own / base; ok = (r <= 1.5 || own <= s); printf "%-52s %8.2f   wanted: at most 1.5%s   %s\n", t, r, s ? ", or " s " s" : "", ok ? "ok" : "MISSED"}'
}
for size in $sizes; do
  printf '\n%-52s %8s %10s %10s\n' "$size objects, median of $runs" seconds objects/s 'max RSS MB'
  row "list-$size" 'bare client: lists the same kinds, 500 a page'
  row "backup-$size" 'lifeboat backup'
  row "again-$size" 'lifeboat backup, nothing changed'
  row "create-$size" 'bare client: creates the same, 16 connections'
  row "restore-$size" 'lifeboat restore'
  row "nothing-$size" 'lifeboat restore, nothing to do'
  # Seconds: a fifth of what Velero takes for 2,000 objects of 1 KB, see docs/performance.md.
  goal 'backup / bare lists' "backup-$size" "list-$size" "$([ "$size" != 2000 ] || echo 0.5)"
  goal 'restore / bare creates' "restore-$size" "create-$size" "$([ "$size" != 2000 ] || echo 6.3)"
  peak {backup,again,restore,nothing}-"$size"
done
printf '\nload of the machine, least and most: %s\n' "$(sort -n loads.txt | sed -n '1p;$p' | paste -sd' ')"
