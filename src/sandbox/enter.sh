# Process 1 of a sandbox: root of fresh namespaces. Builds a file system of nothing but what is named, throws the old
# one away, and only then runs the program, without any right. Needs util-linux and coreutils.
#
#   sh -c THIS lifeboat-sandbox MODE DROP UID GID ROOT WORK LIMITS PATH... -- PROGRAM ARGS...
#
# MODE    hold: the program runs until standard input ends; pass: it gets standard input, and its exit code is ours
# DROP    setuid: root becomes UID; namespace: UID is the user who started us, under its own number again
# ROOT    an empty folder to build in
# WORK    the only folder that can be written, at the same path inside
# LIMITS  options of prlimit
# PATH    what can be read, at the same path inside
#
# When process 1 ends, the kernel ends whatever else runs in here, however it tried to get away.
set -eu
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
mode=$1 drop=$2 uid=$3 gid=$4 root=$5 work=$6 limits=$7
shift 7

# If memory runs out, the kernel takes us before anybody else. Not every container lets us say so.
echo 1000 2>/dev/null >/proc/self/oom_score_adj || :

mount -t tmpfs -o mode=755,size=1m,nr_inodes=4k,nosuid,nodev lifeboat-sandbox "$root"
while [ "$1" != -- ]; do
  if [ -L "$1" ]; then
    mkdir -p "$root${1%/*}"
    [ -e "$root$1" ] || cp -P "$1" "$root$1"
  elif [ -d "$1" ]; then
    mkdir -p "$root$1"
    mount --rbind -o ro "$1" "$root$1"
  fi
  shift
done
shift
mkdir -p "$root/dev/shm" "$root/proc" "$root/etc" "$root/old" "$root$work"
for device in null zero full random urandom; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs -o mode=1777,size=256m,nosuid,nodev,noexec shm "$root/dev/shm"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
echo "sandbox:x:$uid:$gid::/:/bin/false" >"$root/etc/passwd"
echo "sandbox:x:$gid:" >"$root/etc/group"
if [ -f /etc/ld.so.cache ]; then cp /etc/ld.so.cache "$root/etc/"; fi
mount --bind "$work" "$root$work"
mount -o remount,bind,ro "$root"

cd "$root"
pivot_root . old
cd "$work"
umount -l /old

case $drop in
setuid) drop="setpriv --reuid $uid --regid $gid --clear-groups" ;;
# PostgreSQL refuses to be root. One namespace more gives the user its number back, and locks the mounts.
namespace) drop="unshare --user --map-user=$uid --map-group=$gid -- setpriv" ;;
esac
# shellcheck disable=SC2086
run() { $drop --no-new-privs --inh-caps=-all --bounding-set=-all -- prlimit $limits -- "$@"; }

case $mode in
pass) run "$@" ;;
hold)
  exec 3<&0
  cat <&3 >/dev/null &
  reader=$!
  { run "$@" </dev/null >/dev/null 3<&- || :; kill $reader; } &
  wait $reader
  ;;
esac
