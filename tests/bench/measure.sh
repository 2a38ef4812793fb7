# shellcheck shell=bash
# shellcheck disable=SC2154  # the scripts that source this set size_mb and define `measured`
# Shared by the scripts that measure: each run is a line `NAME SECONDS KILOBYTES` of results.txt in the current folder.

# timed NAME: one process tree; its max RSS is that of the largest process.
timed() {
  /usr/bin/time -o time.txt -f '%e %M' bash -c "$(measured "$1")" >/dev/null 2>errors.txt || { cat errors.txt >&2; die "$1 failed"; }
  echo "$1 $(cat time.txt)" >>results.txt
}

# median NAME COLUMN
median() { awk -v n="$1" -v c="$2" '$1 == n {print $c}' results.txt | sort -n | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }

line() { # NAME TEXT
  awk -v t="$2" -v s="$(median "$1" 2)" -v k="$(median "$1" 3)" -v mb="$size_mb" \
    'BEGIN {printf "%-44s %8.2f %8.0f %12.0f\n", t, s, mb / s, k / 1024}'
}

# peak NAME...: the largest median of these.
peak() {
  for name in "$@"; do median "$name" 3; done | sort -n | tail -1 |
    awk '{printf "%-52s %5.0f   wanted: at most 200   %s\n", "memory: lifeboat at its largest, MB", $1 / 1024, ($1 / 1024 <= 200) ? "ok" : "MISSED"}'
}
