# SPDX-License-Identifier: Apache-2.0
say "skopeo $(skopeo --version | grep -oE '[0-9.]+' | head -n 1)"
check "copies a version into an OCI layout, without login" nobody \
  skopeo copy --quiet --all --preserve-digests --src-tls-verify=false "docker://$REF:1.0.0" "oci:$WORK/layout:v"
check "keeps the digest" same "$(jq -r '.manifests[0].digest' "$WORK/layout/index.json")" "$DIGEST"
push() { skopeo copy --quiet --all --preserve-digests --dest-tls-verify=false "$@"; }
check "pushes it back under another name" push --dest-creds "admin:$ADMIN_TOKEN" "oci:$WORK/layout:v" "docker://$HOST/netops/copied:edge"
check "the digest is unchanged" same "$(digest_of copied edge)" "$DIGEST"
check "mounts what another repository has" push --src-tls-verify=false --dest-creds "admin:$ADMIN_TOKEN" "docker://$REF:1.0.0" "docker://$HOST/netops/mounted:edge"
check "cannot push without a token" says "$UNKNOWN" nobody \
  skopeo copy --quiet --all --dest-tls-verify=false "oci:$WORK/layout:v" "docker://$HOST/netops/copied:no"
check "pushes to a private namespace" push --dest-creds "admin:$ADMIN_TOKEN" "oci:$WORK/layout:v" "docker://$HOST/hidden/copied:edge"
check "reads it with a token" skopeo inspect --raw --tls-verify=false --creds "admin:$ADMIN_TOKEN" "docker://$HOST/hidden/copied:edge"
check "reads nothing of it without" says "$UNKNOWN" nobody \
  skopeo inspect --raw --tls-verify=false "docker://$HOST/hidden/copied:edge"
check "lists the tags, without login" prints '"1.0.0"' nobody skopeo list-tags --tls-verify=false "docker://$REF"
check "cannot delete a published version" says "denied|409|published" skopeo delete --tls-verify=false --creds "admin:$ADMIN_TOKEN" "docker://$REF:1.0.0"
check "deletes what is no version" skopeo delete --tls-verify=false --creds "admin:$ADMIN_TOKEN" "docker://$HOST/netops/copied:edge"
check "it is gone" gone netops/copied/manifests/edge
bpfpkg yank netops/packet-count:1.0.0 --reason "only to see who says it" 2>/dev/null
check "copies a yanked version" nobody \
  skopeo copy --quiet --all --preserve-digests --src-tls-verify=false "docker://$REF:1.0.0" "oci:$WORK/yanked:v"
# Debian 12's skopeo does not show the header; newer ones do.
check "the answer says that it was yanked" prints '^[Ww]arning: 299 - "netops/packet-count 1.0.0 was yanked by its publisher: only to see' \
  curl -fsSI "http://$HOST/v2/netops/packet-count/manifests/1.0.0"
bpfpkg unyank netops/packet-count:1.0.0 2>/dev/null
