# shellcheck shell=bash
# shellcheck disable=SC2154  # the script that sources this sourced lib.sh before
# A Kubernetes cluster of one real node on this machine: source it after lib.sh, in a folder of your own; then
#   node_up IMAGE.tar...     control plane, containerd, kubelet, kube-proxy; sets KUBECONFIG, host_address
#   node_down                stops all of it by pid, and unmounts
# All of it lives in a network namespace, whose default route ends in a bridge without members: nothing leaves the machine.
# Needs root. Debian's containerd, runc and CNI plugins; cgroups of version 1 or 2.

node_space=lifeboat-node
node_address=10.77.0.2
host_address=10.77.0.1
node_pids=()
containerd_at=

# in_space NAME COMMAND...: in the background, its words in NAME.log. setsid: a Ctrl-C here is not for them; nor is the lock.
in_space() {
  local name=$1
  shift
  # Not `ip netns exec`, which mounts /sys anew and hides the control groups.
  setsid nsenter "--net=/run/netns/$node_space" -- "$@" >"$name.log" 2>&1 </dev/null 8>&- &
  node_pids+=($!)
}

kubectl() { ./kubectl "$@"; }

node_network() {
  ip netns add "$node_space"
  ip link add lifeboat0 type veth peer name lifeboat1 netns "$node_space"
  ip address add "$host_address/24" dev lifeboat0
  ip link set lifeboat0 up
  local inside=(nsenter "--net=/run/netns/$node_space" --)
  "${inside[@]}" ip address add "$node_address/24" dev lifeboat1
  "${inside[@]}" ip link set lifeboat1 up
  "${inside[@]}" ip link set lo up
  # Where everything goes that is neither the host nor a pod: nowhere.
  "${inside[@]}" ip link add nowhere type bridge
  "${inside[@]}" ip link set nowhere up
  "${inside[@]}" ip route add default dev nowhere src "$node_address"
  "${inside[@]}" sysctl -qw net.ipv4.ip_forward=1
  "${inside[@]}" sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true
  ip route add 10.244.0.0/16 via "$node_address"
  ip route add 10.96.0.0/16 via "$node_address"
}

# certificate NAME SUBJECT [EXTENSION]: NAME.crt and NAME.key, signed by ca.
certificate() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  openssl req -x509 -CA ca.crt -CAkey ca.key -key "$1.key" -out "$1.crt" -days 2 -subj "$2" \
    -addext basicConstraints=critical,CA:FALSE ${3:+-addext "$3"}
}

node_certificates() {
  openssl ecparam -name prime256v1 -genkey -noout -out ca.key
  openssl req -x509 -key ca.key -out ca.crt -days 2 -subj /CN=authority
  certificate apiserver /CN=kube-apiserver \
    "subjectAltName=IP:$node_address,IP:10.96.0.1,DNS:kubernetes.default.svc"
  certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  certificate node /O=system:nodes/CN=system:node:node-1 "subjectAltName=IP:$node_address,DNS:node-1"
  # What is outside of the cluster, and called from inside it.
  certificate outside /CN=outside "subjectAltName=IP:$host_address,IP:127.0.0.1"
  local user subject
  for user in admin:/O=system:masters/CN=admin controllers:/CN=system:kube-controller-manager \
    scheduler:/CN=system:kube-scheduler proxy:/CN=system:kube-proxy node:; do
    subject=${user#*:} user=${user%%:*}
    [ -z "$subject" ] || certificate "$user" "$subject"
    jq -n --arg server "https://$node_address:6443" --arg ca "$(base64 -w0 ca.crt)" --arg cert "$(base64 -w0 "$user.crt")" \
      --arg key "$(base64 -w0 "$user.key")" '{apiVersion: "v1", kind: "Config", "current-context": "node",
        clusters: [{name: "node", cluster: {server: $server, "certificate-authority-data": $ca}}],
        users: [{name: "user", user: {"client-certificate-data": $cert, "client-key-data": $key}}],
        contexts: [{name: "node", context: {cluster: "node", user: "user"}}]}' >"$user.kubeconfig"
    chmod 600 "$user.kubeconfig"
  done
}

control_plane() {
  local name store=http://127.0.0.1:2379 peer=http://127.0.0.1:2380
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do ln -s "$kb" "$name"; done
  in_space etcd ./etcd --name node --unsafe-no-fsync --log-level error --data-dir etcd-data --listen-client-urls "$store" \
    --advertise-client-urls "$store" --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "node=$peer"
  in_space apiserver ./kube-apiserver "--etcd-servers=$store" --secure-port=6443 "--bind-address=$node_address" \
    "--advertise-address=$node_address" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --service-cluster-ip-range=10.96.0.0/16 --client-ca-file=ca.crt --tls-cert-file=apiserver.crt --tls-private-key-file=apiserver.key \
    --kubelet-client-certificate=kubelet-client.crt --kubelet-client-key=kubelet-client.key --kubelet-certificate-authority=ca.crt \
    --kubelet-preferred-address-types=InternalIP --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file=apiserver.key --service-account-signing-key-file=apiserver.key
  export KUBECONFIG=$PWD/admin.kubeconfig
  until_so kubectl get --raw /readyz
  in_space controllers ./kube-controller-manager --kubeconfig=controllers.kubeconfig --bind-address=127.0.0.1 --leader-elect=false \
    --use-service-account-credentials=true --service-account-private-key-file=apiserver.key --root-ca-file=ca.crt \
    --cluster-cidr=10.244.0.0/16 --allocate-node-cidrs=true --service-cluster-ip-range=10.96.0.0/16
  in_space scheduler ./kube-scheduler --kubeconfig=scheduler.kubeconfig --bind-address=127.0.0.1 --leader-elect=false
}

node() {
  local here=$PWD image control_group
  # cgroupfs, because nothing here is run by systemd.
  cat >containerd.toml <<END
version = 2
root = "$here/containerd"
state = "$here/containerd-run"
[grpc]
address = "$here/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "$here/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "lifeboat.test/pause:1"
disable_apparmor = true
# Without the right to change it, the first process of each pod could not start.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$here/cni"
END
  mkdir cni
  cat >cni/10-pods.conflist <<END
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$here/cni-addresses", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
  echo nameserver 10.96.0.10 >resolv.conf
  control_group=$(test -e /sys/fs/cgroup/cgroup.controllers && echo true || echo false)
  cat >kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: $control_group
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix://$here/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $here/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $here/node.crt
tlsPrivateKeyFile: $here/node.key
resolvConf: $here/resolv.conf
podLogsDir: $here/pod-logs
# Whatever this machine has left must do.
evictionHard: {memory.available: "0%", nodefs.available: "0%", imagefs.available: "0%", nodefs.inodesFree: "0%", imagefs.inodesFree: "0%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
failSwapOn: false
END
  containerd_at=${#node_pids[@]}
  in_space containerd containerd -c containerd.toml
  until_so ctr -a "$here/containerd.sock" version
  for image; do ctr -a "$here/containerd.sock" -n k8s.io images import --all-platforms "$image" >/dev/null; done
  in_space kubelet ./kubelet --kubeconfig=node.kubeconfig --config=kubelet.yaml "--root-dir=$here/kubelet-root" \
    "--cert-dir=$here/kubelet-pki" --hostname-override=node-1 "--node-ip=$node_address"
  cat >kube-proxy.yaml <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
bindAddress: $node_address
clusterCIDR: 10.244.0.0/16
hostnameOverride: node-1
clientConnection: {kubeconfig: $here/proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
END
  in_space kube-proxy ./kube-proxy --config=kube-proxy.yaml
  until_so sh -c './kubectl get node node-1 -o json | jq -e ".status.conditions[] | select(.type == \"Ready\" and .status == \"True\")"'
}

node_up() {
  [ "$(id -u)" = 0 ] || die 'a node needs root'
  node_network
  node_certificates
  control_plane
  node "$@"
}

node_down() {
  local pid id mount space socket=$PWD/containerd.sock
  # The kubelet first: it would start again what is stopped. The store last: the others want it to the end.
  for ((n = ${#node_pids[@]} - 1; n >= 0; n--)); do
    # Before containerd itself ends, what it runs: its shims outlive it.
    if [ "$n" = "$containerd_at" ] && [ -S "$socket" ]; then
      for id in $(ctr -a "$socket" -n k8s.io tasks ls -q 2>/dev/null); do ctr -a "$socket" -n k8s.io tasks rm -f "$id" >/dev/null 2>&1 || true; done
      for id in $(ctr -a "$socket" -n k8s.io containers ls -q 2>/dev/null); do ctr -a "$socket" -n k8s.io containers rm "$id" >/dev/null 2>&1 || true; done
    fi
    pid=${node_pids[n]}
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  awk -v under="$PWD/" 'index($2, under) == 1 {print $2}' /proc/mounts | sort -r | while read -r mount; do umount -l "$mount" || true; done
  # Pods have namespaces of their own, which the CNI plugins made.
  for space in /run/netns/cni-*; do [ ! -e "$space" ] || ip netns delete "${space##*/}" 2>/dev/null || true; done
  ip netns delete "$node_space" 2>/dev/null || true
  ip link delete lifeboat0 2>/dev/null || true
}
