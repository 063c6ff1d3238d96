# SPDX-License-Identifier: Apache-2.0
# Starts a registry of our own on a free port with an empty data folder; sourced.
# Sets WORK (removed at exit), HOST, ADMIN_TOKEN and a private configuration folder.

WORK=${WORK:-$(mktemp -d -t bpfpkg.XXXXXX)}
REGISTRY_PID=
export XDG_CONFIG_HOME=$WORK/config XDG_CACHE_HOME=$WORK/cache DOCKER_CONFIG=$WORK/docker
export REGISTRY_AUTH_FILE=$WORK/docker/config.json BPFPKG_PASSWORD=correct-horse NO_COLOR=1
mkdir -p "$XDG_CONFIG_HOME" "$XDG_CACHE_HOME" "$DOCKER_CONFIG"

bpfpkg() { "$BIN/bpfpkg" "$@"; }

# stop PID: ends a process that we started.
stop() {
  [ -n "${1:-}" ] || return 0
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

start_registry() {
  "$BIN/bpfpkg-registry" serve --data "$WORK/registry" --listen "${1:-127.0.0.1:0}" \
    > "$WORK/registry.out" 2> "$WORK/registry.log" &
  REGISTRY_PID=$!
  wait_for 20 grep -q 'http://127.0.0.1:' "$WORK/registry.out" || { cat "$WORK/registry.log" >&2; die "the registry did not start"; }
  HOST=$(grep -o '127\.0\.0\.1:[0-9]*' "$WORK/registry.out" | head -n 1)
  ADMIN_TOKEN=$(grep -oE 'bpfpkg_[A-Za-z0-9_-]+' "$WORK/registry.out" | head -n 1)
  export BPFPKG_REGISTRY=$HOST
  wait_for 20 curl -fsS "http://$HOST/readyz" || die "the registry is not ready"
}
