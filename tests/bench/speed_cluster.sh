#!/usr/bin/env bash
# `make bench-cluster`: backup and restore of ConfigMaps of 1 to 10 KiB in four namespaces of a real API server on loopback, into a MinIO
# server, beside the barest clients that read and write the same objects, and beside Velero on the same server and store.
#   RUNS=3          rounds; in each round every step runs once, in turn; medians are printed. Velero has one.
#   SIZES='2000 20000'
#   VELERO='2000 20000'   the sizes that Velero backs up, too; it restores 2,000 only, since 20,000 take it minutes
# LIFEBOAT=FILE uses a program that is already built.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/measure.sh"

runs=${RUNS:-3}
sizes=${SIZES:-2000 20000}
of_velero=${VELERO-$sizes}

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

export MINIO_ROOT_USER=bench MINIO_ROOT_PASSWORD=bench-secret MINIO_UPDATE=off MINIO_BROWSER=off
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
store=127.0.0.1:$(free_port)
# A bucket on a server with one drive is a folder.
mkdir -p server/velero
"$minio" server --quiet --address "$store" server >minio.log 2>&1 &
pids+=($!)
until_so curl -sf "http://$store/minio/health/ready"

# fresh: a repository without a backup. Its policy takes the four namespaces.
fresh() {
  rm -rf server/lifeboat keys
  mkdir server/lifeboat
  env -u LIFEBOAT_POLICY "$lifeboat" init "minio+http://$store/lifeboat/repo" --generate-keys keys >/dev/null
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

# Velero as a process beside the server, at client limits that it does not meet. It is here last: its kinds would be listed, too.
velero_up() {
  mkdir -p plugins scratch
  ln -s "$velero_aws" plugins/
  printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >cloud
  ./kubectl create namespace velero >/dev/null
  "$velero" install --crds-only --dry-run -o yaml | ./kubectl apply -f - >/dev/null
  ./kubectl -n velero create secret generic cloud --from-file=cloud >/dev/null
  ./kubectl apply -f - >/dev/null <<END
apiVersion: velero.io/v1
kind: BackupStorageLocation
metadata: {name: default, namespace: velero}
spec:
  provider: aws
  default: true
  objectStorage: {bucket: velero}
  credential: {name: cloud, key: cloud}
  config: {region: us-east-1, s3ForcePathStyle: "true", s3Url: "http://$store", checksumAlgorithm: ""}
END
  # A restore looks up the server's own Deployment, for the image of its helpers: one without replicas will do.
  ./kubectl -n velero create deployment velero --image=velero/velero:v$velero_version --replicas=0 >/dev/null
  VELERO_NAMESPACE=velero VELERO_SCRATCH_DIR=$work/scratch HOME=$work AWS_SHARED_CREDENTIALS_FILE=$work/cloud \
    "$velero" server --namespace velero --kubeconfig "$KUBECONFIG" --plugin-dir "$work/plugins" --client-qps 2000 --client-burst 2000 \
    --metrics-address "127.0.0.1:$(free_port)" --profiler-address "127.0.0.1:$(free_port)" --store-validation-frequency 5s >velero.log 2>&1 &
  velero_pid=$!
  pids+=("$velero_pid")
  ./kubectl -n velero wait bsl/default --for=jsonpath='{.status.phase}'=Available --timeout=120s >/dev/null
}
# velero_timed ROW KIND NAME ARGUMENTS...: from the command to the moment at which it is said to be done.
velero_timed() {
  local start
  start=$(now)
  "$velero" -n velero "$2" create "$3" "${@:4}" >/dev/null
  ./kubectl -n velero wait "$2.velero.io/$3" --for=jsonpath='{.status.phase}'=Completed --timeout=1200s >/dev/null ||
    die "Velero's $2 is $(./kubectl -n velero get "$2.velero.io/$3" -o jsonpath='{.status.phase}')"
  echo "$1 $(since "$start") $(awk '/VmHWM/ {print $2}' "/proc/$velero_pid/status")" >>results.txt
}
for size in $of_velero; do
  say "Velero $velero_version, $size objects"
  [ -n "${velero_pid:-}" ] || velero_up
  load >/dev/null
  bare "create-for-velero-$size" create "$size"
  wanted=$("$kb_bare" digest)
  velero_timed "velero-backup-$size" backup "of-$size" "--include-namespaces=${NAMESPACES// /,}" --snapshot-volumes=false
  "$kb_bare" delete
  [ "$size" -le 2000 ] || continue
  velero_timed "velero-restore-$size" restore "of-$size" "--from-backup=of-$size"
  [ "$("$kb_bare" digest)" = "$wanted" ] || die 'Velero restored something else'
  "$kb_bare" delete
done

row() { # NAME TEXT
  awk -v t="$2" -v s="$(median "$1" 2)" -v k="$(median "$1" 3)" -v n="${1##*-}" \
    'BEGIN {printf "%-52s %8.2f %10.0f %10s\n", t, s, n / s, (k > 0) ? sprintf("%.0f", k / 1024) : "-"}'
}
# goal TEXT NAME BASE VELERO: at most 1.5 times BASE, or at most a fifth of VELERO where that was measured.
goal() {
  awk -v t="$1" -v own="$(median "$2" 2)" -v base="$(median "$3" 2)" -v velero="$(median "$4" 2 2>/dev/null)" 'BEGIN {
    r = own / base; times = velero / own; ok = (r <= 1.5 || times >= 5)
    printf "%-52s %8.2f   wanted: at most 1.5, or Velero / lifeboat at least 5", t, r
    if (velero > 0) printf " (it is %.1f)", times
    print ok ? "   ok" : "   MISSED"}'
}
for size in $sizes; do
  printf '\n%-52s %8s %10s %10s\n' "$size objects, median of $runs" seconds objects/s 'max RSS MB'
  row "list-$size" 'bare client: lists the same kinds, 500 a page'
  row "backup-$size" 'lifeboat backup'
  row "again-$size" 'lifeboat backup, nothing changed'
  row "create-$size" 'bare client: creates the same, 16 connections'
  row "restore-$size" 'lifeboat restore'
  row "nothing-$size" 'lifeboat restore, nothing to do'
  if [[ " $of_velero " = *" $size "* ]]; then
    row "velero-backup-$size" "Velero $velero_version backup, once"
    [ "$size" -gt 2000 ] || row "velero-restore-$size" "Velero $velero_version restore, once"
  fi
  goal 'backup / bare lists' "backup-$size" "list-$size" "velero-backup-$size"
  goal 'restore / bare creates' "restore-$size" "create-$size" "velero-restore-$size"
  peak {backup,again,restore,nothing}-"$size"
done
printf '\nload of the machine, least and most: %s\n' "$(sort -n loads.txt | sed -n '1p;$p' | paste -sd' ')"
