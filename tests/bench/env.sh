#!/usr/bin/env bash
# Prints what the tests need to find the servers that install.sh put there:  eval "$(tests/bench/env.sh)"
set -euo pipefail
. "$(dirname "$0")/lib.sh"
printf 'export LIFEBOAT_TEST_PG15_BIN=%q\n' "$pg15_bin"
printf 'export LIFEBOAT_TEST_PG18_BIN=%q\n' "$pg18_bin"
for version in "${older_versions[@]}"; do
  printf 'export LIFEBOAT_TEST_PG%s_BIN=%q\n' "${version%%.*}" "$(older_home "$version")/bin"
done
printf 'export LIFEBOAT_TEST_%s=%q\n' MINIO "$minio" MINIO_ADMIN "$minio_admin" GCS "$gcs" \
  KB "$kb" KB_LB "$kb_lb" NOMAD "$nomad_standin" NAMED "$named" \
  WEED "$weed" MOTO "$moto" TINYPROXY "$(command -v tinyproxy || echo /usr/bin/tinyproxy)"
