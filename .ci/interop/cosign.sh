# SPDX-License-Identifier: Apache-2.0
# Both major versions: 2 keeps signatures under a tag, 3 as referrers.
for suite in trixie sid; do
  COSIGN=$(unpack_deb "$suite" cosign)/usr/bin/cosign
  case $suite in trixie) major=2 options=() ;; *) major=3 options=(--use-signing-config=false) ;; esac
  say "cosign $major ($(cat "$CACHE/$suite/cosign/.done"))"
  verify() { "$COSIGN" verify --key "$1" --insecure-ignore-tlog=true --private-infrastructure --allow-http-registry "${2:-$REF@$DIGEST}"; }
  check "verifies what bpfpkg signed" verify "$WORK/key.pub"
  check "refuses it with another key" says "no matching signatures|invalid signature|failed to verify" verify "$WORK/other.pub"
  check "reads our private key and signs with it" env COSIGN_PASSWORD="$BPFPKG_PASSWORD" \
    "$COSIGN" sign-blob --yes --key "$WORK/key.key" --tlog-upload=false "${options[@]}" \
    --bundle "$WORK/blob-$suite.json" "$TOP/.ci/interop.sh"
  image=$HOST/netops/cosign-$major
  skopeo copy --quiet --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false --dest-creds "admin:$ADMIN_TOKEN" \
    "docker://$REF:1.0.0" "docker://$image:edge"
  check "signs in the registry with a key of its own" env COSIGN_PASSWORD="$BPFPKG_PASSWORD" \
    "$COSIGN" sign --yes --key "$WORK/other.key" --tlog-upload=false "${options[@]}" --allow-http-registry "$image@$DIGEST"
  check "verifies that" verify "$WORK/other.pub" "$image@$DIGEST"
  check "cannot sign without a token" says "$UNKNOWN" nobody env COSIGN_PASSWORD="$BPFPKG_PASSWORD" \
    "$COSIGN" sign --yes --key "$WORK/key.key" --tlog-upload=false "${options[@]}" --allow-http-registry "$image@$DIGEST"
done
