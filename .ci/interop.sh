#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Other people's clients against our registry: push, pull, list, delete and referrers, as
# far as each of them can, without login where that is enough and with a token where not.
# One file per client under interop/. `interop.sh crane oras` tries only those two.
# The crate oci-client has its story in registry-client/tests/stories/oci_client.rs.
. "$(dirname "$0")/lib.sh"
. "$TOP/.ci/registry.sh"
trap 'code=$?; stop "$REGISTRY_PID"; rm -rf "$WORK"; exit $code' EXIT

passed=0 failed=0
check() { # check "what" COMMAND…
  local what=$1; shift
  if "$@" > "$WORK/check.log" 2>&1; then passed=$((passed + 1)); say "  ok      $what"
  else failed=$((failed + 1)); say "  FAILED  $what"; sed 's/^/            /' "$WORK/check.log" >&2
  fi
}
refuses() { ! "$@"; }
# says PATTERN COMMAND…: the command fails, and says why.
says() { local reason=$1; shift; ! "$@" > "$WORK/says.log" 2>&1 && { cat "$WORK/says.log"; grep -qiE "$reason" "$WORK/says.log"; }; }
# prints PATTERN COMMAND…: the command succeeds, and its output has the pattern.
prints() { local pattern=$1; shift; "$@" > "$WORK/prints.log" 2>&1 || { cat "$WORK/prints.log"; return 1; }; cat "$WORK/prints.log"; grep -qE "$pattern" "$WORK/prints.log"; }
same() { [ "$1" = "$2" ] || { echo "$1 is not $2"; return 1; }; }
# gone PATH: the registry says that nothing is there.
gone() { same "$(curl -s -o /dev/null -w '%{http_code}' -u "admin:$ADMIN_TOKEN" "http://$HOST/v2/$1")" 404; }

say "registry, key pairs, one signed package, one small image"
start_registry
printf '%s' "$ADMIN_TOKEN" | bpfpkg login "$HOST" --user admin --password-stdin
bpfpkg namespace create netops >/dev/null
curl -fsS -o /dev/null -u "admin:$ADMIN_TOKEN" --json '{"name":"hidden","visibility":"private"}' "http://$HOST/api/v1/namespaces"
(cd "$WORK" && bpfpkg keygen --output "$WORK/key" >/dev/null && bpfpkg keygen --output "$WORK/other" >/dev/null)
bpfpkg namespace key add netops "$WORK/key.pub" >/dev/null
cp -r "$TOP/bpf-packages/packet-count" "$TOP/bpf-packages/include" "$WORK/"
bpfpkg push --key "$WORK/key.key" "$WORK/packet-count" >/dev/null
REF=$HOST/netops/packet-count
# digest_of REPOSITORY REFERENCE: what the registry says a tag of netops names.
digest_of() { curl -fsSI -u "admin:$ADMIN_TOKEN" "http://$HOST/v2/netops/$1/manifests/$2" | tr -d '\r' | sed -nE 's/^docker-content-digest: //Ip'; }
DIGEST=$(digest_of packet-count 1.0.0)
# nobody COMMAND…: as somebody who never logged in, for what must work so, and what must not.
NOBODY=$WORK/nobody; mkdir -p "$NOBODY"; echo '{}' > "$NOBODY/config.json"
nobody() { (export HOME=$NOBODY XDG_CONFIG_HOME=$NOBODY DOCKER_CONFIG=$NOBODY REGISTRY_AUTH_FILE=$NOBODY/config.json; "$@"); }
UNKNOWN='unauthorized|authentication required|log in first'

for client in ${*:-skopeo podman buildah crane oras sigstore cosign verifiers}; do
  . "$TOP/.ci/interop/$client.sh"
done

say ""
printf 'interop: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
