# SPDX-License-Identifier: Apache-2.0
# 0.5 is the last that runs on Debian 12's node.
SIGSTORE=$CACHE/sigstore-oci-0.5.0
[ -d "$SIGSTORE/node_modules/@sigstore/oci" ] ||
  { mkdir -p "$SIGSTORE" && npm install --silent --no-audit --no-fund --prefix "$SIGSTORE" @sigstore/oci@0.5.0 >&2; }
say "@sigstore/oci 0.5.0 (npm), node $(node --version)"
story() { NODE_PATH=$SIGSTORE/node_modules node "$TOP/.ci/interop/with-sigstore.cjs" "$1" "$HOST" "$2" "$DIGEST"; }
check "reads a digest" story digest "$ADMIN_TOKEN"
check "attaches an attestation, which becomes a referrer" story attach "$ADMIN_TOKEN"
check "no list was kept by hand" gone "netops/packet-count/manifests/sha256-${DIGEST#sha256:}"
check "cannot attach with a wrong token" says "401|unauthorized|Error" story attach wrong
