#!/usr/bin/env bash
# `make node`: lifeboat as it runs in a cluster. A real node starts deploy/cronjob.yaml with an image of lifeboat; it backs up a Postgres
# server that runs as a pod, and the cluster's own objects, into a MinIO server outside; here the backup is proved and read.
# Needs root; about two minutes. LIFEBOAT_BIN=FILE uses a binary that is already built. KEEP=1 leaves the cluster to look at until Enter.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$bench_dir/node/up.sh"

"$bench_dir/install.sh" node
build_lifeboat

work=$(mktemp -d "${TMPDIR:-/tmp}/lifeboat-node.XXXXXX")
finished=
minio_pid=
cleanup() {
  if [ -z "$finished" ]; then
    kubectl get pods -A -o wide 2>/dev/null | tail -n 20 >&2 || true
    printf '\nFAILED\n' >&2
  fi
  if [ -n "${KEEP:-}" ]; then read -rp "KUBECONFIG=$work/admin.kubeconfig; Enter ends it " || true; fi
  node_down
  [ -z "$minio_pid" ] || { kill "$minio_pid"; wait "$minio_pid" || true; } 2>/dev/null
  cd / && rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
exec 8>"$cache/.node" # one at a time: the addresses are fixed
flock 8
cd "$work"
chmod 711 "$work"

say 'images'
mkdir -p root/usr/local/bin
install -m 755 "$lifeboat" root/usr/local/bin/lifeboat
tar -C root --owner=0 --group=0 -cf program.tar .
"$bench_dir/node/image.py" lifeboat.tar lifeboat.test/lifeboat:1 "$node_base" program.tar -- /usr/local/bin/lifeboat
"$bench_dir/node/image.py" postgres.tar lifeboat.test/postgres:15 "$node_base" -- /bin/sh
# The process that holds a pod's namespaces only has to stay.
"$bench_dir/node/image.py" pause.tar lifeboat.test/pause:1 "$node_base" -- /usr/bin/sleep infinity

say 'cluster'
node_up pause.tar postgres.tar lifeboat.tar
rm -f ./*.tar

say 'an object store outside of it, behind an authority of its own'
mkdir -p certs store/backups
cp outside.crt certs/public.crt
cp outside.key certs/private.key
export MINIO_ROOT_USER=owner MINIO_ROOT_PASSWORD=owner-of-the-store MINIO_UPDATE=off MINIO_BROWSER=off
"$minio" server --address "$host_address:9000" --certs-dir certs store >minio.log 2>&1 8>&- &
minio_pid=$!
until_so curl -sf --cacert ca.crt "https://$host_address:9000/minio/health/ready"
unset MINIO_ROOT_USER MINIO_ROOT_PASSWORD

say 'a platform: Postgres with a thousand orders, in namespace shop'
user=$(tar -xOf "$node_base" ./etc/passwd | awk -F: '$1 == "postgres" {print $3}')
kubectl create namespace shop >/dev/null
kubectl -n shop create secret generic postgres --from-literal=password=of-the-shop >/dev/null
kubectl apply -f - >/dev/null <<END
apiVersion: v1
kind: Service
metadata: {name: postgres, namespace: shop}
spec: {selector: {app: postgres}, ports: [{port: 5432}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: postgres, namespace: shop}
spec:
  serviceName: postgres
  selector: {matchLabels: {app: postgres}}
  template:
    metadata: {labels: {app: postgres}}
    spec:
      terminationGracePeriodSeconds: 5
      securityContext: {runAsUser: $user, runAsGroup: $user, fsGroup: $user}
      containers:
      - name: postgres
        image: lifeboat.test/postgres:15
        args:
        - -c
        - |
          initdb --pgdata=/data/db --username=postgres --pwfile=/secret/password --auth-host=scram-sha-256 --auth-local=trust
          echo 'host all all all scram-sha-256' >>/data/db/pg_hba.conf
          exec postgres -D /data/db -c listen_addresses='*' -c unix_socket_directories=/data
        readinessProbe: {exec: {command: [psql, -h, /data, -U, postgres, -c, select 1]}, periodSeconds: 1}
        volumeMounts: [{name: data, mountPath: /data}, {name: secret, mountPath: /secret}]
      volumes:
      - {name: data, emptyDir: {}}
      - {name: secret, secret: {secretName: postgres}}
END
ready() { kubectl -n shop get pod postgres-0 -o json | jq -e '.status.containerStatuses[0].ready'; }
orders() { kubectl -n shop exec postgres-0 -- psql -h /data -U postgres -Atqc "$1"; }
until_so ready
orders "CREATE TABLE orders AS SELECT n AS id, 'order ' || n AS what FROM generate_series(1, 1000) n"

say 'a repository and its keys'
export AWS_ACCESS_KEY_ID=owner AWS_SECRET_ACCESS_KEY=owner-of-the-store
SSL_CERT_FILE=$work/ca.crt "$lifeboat" init "minio+https://$host_address:9000/backups/shop" --generate-keys keys >init.log
database=$(kubectl -n shop get service postgres -o jsonpath='{.spec.clusterIP}') # there is no name server in this cluster
policy() { # FOLDER_OF_KEYS FOLDER_OF_CA
  sed -e '/^  sources:/,$d' -e "s,{file: \([a-z.]*key\)},{file: $1/\1}," -e '/prover:.*file/d' \
    -e "s,^    id: .*,&\n    tls: {ca: {file: $2/ca.crt}}\n    credentials: {writer: {accessKey: {file: $1/access-key}\, secretKey: {file: $1/secret-key}}}," keys/policy.yaml
  cat <<END
  sources:
  - name: postgres
    postgres: {host: "$database", user: postgres, password: {file: $1/postgres-password}, databases: all, tls: {mode: disable}}
  - name: objects
    cluster: {namespaces: [shop]}
END
}
kubectl create namespace lifeboat >/dev/null
kubectl label namespace lifeboat pod-security.kubernetes.io/enforce=restricted >/dev/null
kubectl -n lifeboat create secret generic lifeboat --from-file=dedup.key=keys/dedup.key --from-file=writer.key=keys/writer.key \
  --from-file=ca.crt --from-literal=access-key=owner --from-literal=secret-key=owner-of-the-store \
  --from-literal=postgres-password=of-the-shop >/dev/null
policy /etc/lifeboat/keys /etc/lifeboat/keys >policy.yaml

say 'deploy/cronjob.yaml, with that policy and that image, and an account that may read the objects'
kubectl apply -f "$root_dir/deploy/rbac-capture.yaml" >/dev/null
kubectl create clusterrolebinding lifeboat-cronjob --clusterrole=lifeboat-capture --serviceaccount=lifeboat:lifeboat >/dev/null
sed -e 's,registry.example.com/lifeboat:0.1.0,lifeboat.test/lifeboat:1,' -e 's/^automountServiceAccountToken: false/automountServiceAccountToken: true/' \
  "$root_dir/deploy/cronjob.yaml" | kubectl -n lifeboat apply -f - >/dev/null
kubectl -n lifeboat create configmap lifeboat --from-file=policy.yaml --dry-run=client -o yaml | kubectl -n lifeboat apply -f - >/dev/null 2>&1
kubectl -n lifeboat create job --from=cronjob/lifeboat first >/dev/null
ended() { kubectl -n lifeboat get job "$1" -o json | jq -e '.status.succeeded or (.status.conditions // [] | any(.type == "Failed" and .status == "True"))'; }
start=$(now)
until_so ended first
printf '    the Job took %s s\n' "$(since "$start")" >&2
kubectl -n lifeboat logs job/first
kubectl -n lifeboat get job first -o json | jq -e '.status.succeeded == 1' >/dev/null || die 'the Job did not succeed'

say 'quiesced: an application at rest while it is captured; and its pod is lost in the middle'
kubectl -n shop apply -f "$root_dir/deploy/rbac-quiesce.yaml" >/dev/null
kubectl -n lifeboat apply -f "$root_dir/deploy/rbac-quiesce.yaml" >/dev/null
kubectl -n shop create rolebinding lifeboat-cronjob --role=lifeboat-quiesce --serviceaccount=lifeboat:lifeboat >/dev/null
kubectl -n lifeboat create rolebinding lifeboat-cronjob --role=lifeboat-quiesce-watch --serviceaccount=lifeboat:lifeboat >/dev/null
kubectl apply -f - >/dev/null <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {layer: application}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: lifeboat.test/postgres:15, args: [-c, exec sleep infinity]}]
END
policy /etc/lifeboat/keys /etc/lifeboat/keys >policy.yaml
printf '  quiesce: {scale: layer=application, max: 10m}\n' >>policy.yaml
kubectl -n lifeboat create configmap lifeboat --from-file=policy.yaml --dry-run=client -o yaml | kubectl -n lifeboat replace -f - >/dev/null
replicas() { [ "$(kubectl -n shop get deployment web -o json | jq -r '[.spec.replicas, .status.readyReplicas // 0] | @csv')" = "$1,$1" ]; }
until_so replicas 2
# What holds the dump up for as long as it takes.
kubectl -n shop exec postgres-0 -- psql -h /data -U postgres -qc 'BEGIN; LOCK TABLE orders; SELECT pg_sleep(300)' >/dev/null 2>&1 8>&- &
holder=$!
until_so sh -c "./kubectl -n shop exec postgres-0 -- psql -h /data -U postgres -Atqc \"SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted\" | grep -q '[1-9]'"
kubectl -n lifeboat create job --from=cronjob/lifeboat lost >/dev/null
kubectl -n lifeboat patch job lost -p '{"spec": {"backoffLimit": 0}}' >/dev/null # nobody but the watchdog is to help
until_so replicas 0
pod=$(kubectl -n lifeboat get pods -l job-name=lost -o name)
container=$(kubectl -n lifeboat get "$pod" -o jsonpath='{.status.containerStatuses[0].containerID}')
start=$(now)
ctr -a "$work/containerd.sock" -n k8s.io tasks kill --signal SIGKILL --all "${container#containerd://}"
until_so replicas 2
printf '    back at 2 replicas %s s after the pod was lost\n' "$(since "$start")" >&2
kubectl -n lifeboat logs "$(kubectl -n lifeboat get jobs -o name | grep quiesce)"
kill "$holder" 2>/dev/null || true
orders "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'" >/dev/null
kubectl -n lifeboat create job --from=cronjob/lifeboat quiet >/dev/null
until_so ended quiet
kubectl -n lifeboat logs job/quiet
kubectl -n lifeboat get job quiet -o json | jq -e '.status.succeeded == 1' >/dev/null || die 'the quiesced backup did not succeed'
until_so replicas 2

say 'proved here, by who holds the keys'
policy "$work/keys" "$work" >keys/own.yaml
printf '%s' owner >keys/access-key
printf '%s' owner-of-the-store >keys/secret-key
printf '%s' of-the-shop >keys/postgres-password
export LIFEBOAT_POLICY=$work/keys/own.yaml LIFEBOAT_IDENTITY=$work/keys/identity.txt
"$lifeboat" list
"$lifeboat" verify latest --level opened

say 'the namespace is lost, with the database in it; and comes back'
kubectl delete namespace shop
"$lifeboat" restore latest --source objects --to cluster:node --yes
until_so ready
# Its data was in no volume: a new, empty server. Its Service has a new address.
[ "$(orders "SELECT count(*) FROM pg_tables WHERE tablename = 'orders'")" = 0 ] || die 'the server was not lost'
database=$(kubectl -n shop get service postgres -o jsonpath='{.spec.clusterIP}')
PGPASSWORD=of-the-shop "$lifeboat" restore latest --source postgres --to "postgres://postgres@$database:5432?sslmode=disable" --yes
[ "$(orders 'SELECT count(*), sum(id), max(what) FROM orders')" = '1000|500500|order 999' ] || die 'the orders are not back'
finished=1
say 'all of it holds'
