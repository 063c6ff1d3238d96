#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Other people's clients against our registry, and other people's verifiers against
# our signatures: skopeo, oras (PyPI), cosign 2.5 and cosign 3.
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
says() { local reason=$1; shift; ! "$@" > "$WORK/says.log" 2>&1 && { cat "$WORK/says.log"; grep -qiE "$reason" "$WORK/says.log"; }; }
same() { [ "$1" = "$2" ] || { echo "$1 is not $2"; return 1; }; }

say "registry, key pairs, one signed package"
start_registry
printf '%s' "$ADMIN_TOKEN" | bpfpkg login "$HOST" --user admin --password-stdin
bpfpkg namespace create netops >/dev/null
(cd "$WORK" && bpfpkg keygen --output "$WORK/key" >/dev/null && bpfpkg keygen --output "$WORK/other" >/dev/null)
bpfpkg namespace key add netops "$WORK/key.pub" >/dev/null
cp -r "$TOP/bpf-packages/packet-count" "$TOP/bpf-packages/include" "$WORK/"
bpfpkg push --key "$WORK/key.key" "$WORK/packet-count" >/dev/null
REF=$HOST/netops/packet-count
digest_of() { curl -fsSI -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$HOST/v2/netops/$1" \
  -H "Authorization: Basic $(printf 'admin:%s' "$ADMIN_TOKEN" | base64 -w0)" | tr -d '\r' | sed -nE 's/^docker-content-digest: //Ip'; }
DIGEST=$(digest_of packet-count/manifests/1.0.0)

say "skopeo: pull and push the whole index"
check "copies a version into an OCI layout" \
  skopeo copy --quiet --all --preserve-digests --src-tls-verify=false "docker://$REF:1.0.0" "oci:$WORK/layout:v"
check "keeps the digest" same "$(jq -r '.manifests[0].digest' "$WORK/layout/index.json")" "$DIGEST"
check "pushes it back under another name" \
  skopeo copy --quiet --all --preserve-digests --dest-tls-verify=false --dest-creds "admin:$ADMIN_TOKEN" \
    "oci:$WORK/layout:v" "docker://$HOST/netops/copied:edge"
check "the digest is unchanged" same "$(digest_of copied/manifests/edge)" "$DIGEST"
check "cannot push without a token" refuses env REGISTRY_AUTH_FILE=/dev/null \
  skopeo copy --quiet --all --dest-tls-verify=false --dest-no-creds "oci:$WORK/layout:v" "docker://$HOST/netops/copied:no"
check "lists the tags" skopeo list-tags --tls-verify=false "docker://$REF"

say "oras (PyPI): push and pull"
ORAS=$CACHE/oras-venv
[ -x "$ORAS/bin/python" ] && "$ORAS/bin/python" -c 'import oras' 2>/dev/null || { python3 -m venv "$ORAS" && "$ORAS/bin/pip" install --quiet 'oras==0.2.42'; }
cat > "$WORK/use-oras.py" <<'PY'
import os, sys, oras.client
host, token, work = sys.argv[1:]
client = oras.client.OrasClient(hostname=host, insecure=True, auth_backend="token")
client.login(username="admin", password=token, hostname=host, config_path=os.path.join(work, "oras.json"))
os.chdir(work)
with open("hello.txt", "w") as file: file.write("hello\n")
answer = client.push(files=["hello.txt"], target=f"{host}/netops/oras:edge", disable_path_validation=True)
assert answer.status_code == 201, answer.text
os.makedirs("oras-out", exist_ok=True)
client.pull(target=f"{host}/netops/oras:edge", outdir="oras-out")
assert open("oras-out/hello.txt").read() == "hello\n"
manifest = client.get_manifest(f"{host}/netops/oras:edge")
assert manifest["layers"][0]["annotations"]["org.opencontainers.image.title"] == "hello.txt"
assert "edge" in client.get_tags(f"{host}/netops/oras")
PY
check "pushes a file and pulls it unchanged" "$ORAS/bin/python" "$WORK/use-oras.py" "$HOST" "$ADMIN_TOKEN" "$WORK"

for suite in trixie sid; do
  COSIGN=$(unpack_deb "$suite" cosign)/usr/bin/cosign
  case $suite in trixie) major=2 options=() ;; *) major=3 options=(--use-signing-config=false) ;; esac
  say "cosign $major ($(cat "$CACHE/$suite/cosign/.done"))"
  verify() { "$COSIGN" verify --key "$1" --insecure-ignore-tlog=true --private-infrastructure --allow-http-registry "$REF@$DIGEST"; }
  check "verifies what bpfpkg signed" verify "$WORK/key.pub"
  check "refuses it with another key" says "no matching signatures|invalid signature|failed to verify" verify "$WORK/other.pub"
  check "reads our private key and signs with it" env COSIGN_PASSWORD="$BPFPKG_PASSWORD" \
    "$COSIGN" sign-blob --yes --key "$WORK/key.key" --tlog-upload=false "${options[@]}" \
    --bundle "$WORK/blob-$suite.json" "$WORK/use-oras.py"
done

say ""
printf 'interop: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
