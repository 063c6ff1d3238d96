# SPDX-License-Identifier: Apache-2.0
# Other people's verifiers over what we sign, by keys of both kinds and keyless, and ours over
# what cosign signs. The Sigstore instance is our own: .ci/sigstore.cjs.
NPM=$(sigstore_npm)
SIG=$WORK/sigstore; mkdir -p "$SIG"; mkfifo "$SIG/stay"
NODE_PATH=$NPM node "$TOP/.ci/sigstore.cjs" "$SIG" < "$SIG/stay" > "$SIG/said" & exec 9> "$SIG/stay"
mkdir -p "$SIG/other"; mkfifo "$SIG/other/stay"
NODE_PATH=$NPM node "$TOP/.ci/sigstore.cjs" "$SIG/other" < "$SIG/other/stay" > "$SIG/other/said" & exec 8> "$SIG/other/stay"
wait_for 20 grep -q url "$SIG/said" && wait_for 20 grep -q url "$SIG/other/said" || die "the Sigstore instance did not start"
INSTANCE=$(jq -r .url "$SIG/said") ROOT=$SIG/trusted_root.json
SUBJECT=https://forge.example/netops/packet-count/publish.yml ISSUER=https://issuer.example
part() { printf '%s' "$1" | base64 -w0 | tr '+/' '-_' | tr -d =; }
TOKEN=$(part '{"alg":"RS256","typ":"JWT"}').$(part "{\"iss\":\"$ISSUER\",\"sub\":\"$SUBJECT\",\"aud\":\"sigstore\",\"exp\":4000000000}").$(part x)
export BPFPKG_FULCIO_URL=$INSTANCE BPFPKG_REKOR_URL=$INSTANCE BPFPKG_IDENTITY_TOKEN=$TOKEN
keyless() { # keyless VERSION COMMAND…: with the log of that version
  local version=$1; shift
  if [ "$version" = 2 ]; then BPFPKG_REKOR_VERSION=2 BPFPKG_TSA_URL=$INSTANCE/api/v1/timestamp "$@"; else "$@"; fi
}
raw_of() { base64 -d "$1" > "$1.bin"; }

bpfpkg keygen --type ed25519 --output "$WORK/ed" >/dev/null
bpfpkg keygen --type ed25519 --output "$WORK/ed-other" >/dev/null
FILE=$SIG/program.o CHANGED=$SIG/changed.o
head -c 5000 /bin/ls > "$FILE"; { cat "$FILE"; echo; } > "$CHANGED"
for kind in key ed; do
  bpfpkg sign "$FILE" --key "$WORK/$kind.key" --output-file "$SIG/$kind.json" >/dev/null
  cp "$FILE" "$SIG/$kind.o"; bpfpkg sign --raw "$SIG/$kind.o" --key "$WORK/$kind.key" >/dev/null; raw_of "$SIG/$kind.o.sig"
done
for version in 1 2; do keyless $version bpfpkg sign "$FILE" --keyless --output-file "$SIG/keyless$version.json" >/dev/null; done

say "openssl ($(openssl version | cut -d' ' -f2))"
by_openssl() { case $1 in
  key*) openssl dgst -sha256 -verify "$WORK/$2.pub" -signature "$SIG/key.o.sig.bin" "$3" ;;
  *) openssl pkeyutl -verify -pubin -inkey "$WORK/$2.pub" -rawin -sigfile "$SIG/ed.o.sig.bin" -in "$3" ;; esac; }
for kind in key ed; do
  check "accepts our $kind signature" by_openssl $kind $kind "$FILE"
  check "refuses a changed file" refuses by_openssl $kind $kind "$CHANGED"
done
check "refuses another key" refuses by_openssl key other "$FILE"
check "refuses another Ed25519 key" refuses by_openssl ed ed-other "$FILE"

say "@sigstore/verify $(jq -r .version "$NPM/@sigstore/verify/package.json") (npm)"
by_npm() { NODE_PATH=$NPM node "$TOP/.ci/interop/verify-bundle.cjs" "$@"; }
for kind in key ed; do
  check "accepts our $kind signature" by_npm "$SIG/$kind.json" "$FILE" key "$WORK/$kind.pub"
  check "refuses a changed file" refuses by_npm "$SIG/$kind.json" "$CHANGED" key "$WORK/$kind.pub"
done
check "refuses another key" refuses by_npm "$SIG/key.json" "$FILE" key "$WORK/other.pub"
for version in 1 2; do
  check "accepts keyless, log $version" by_npm "$SIG/keyless$version.json" "$FILE" root "$ROOT" "$SUBJECT" "$ISSUER"
  check "refuses a changed file" refuses by_npm "$SIG/keyless$version.json" "$CHANGED" root "$ROOT" "$SUBJECT" "$ISSUER"
  check "refuses another root" refuses by_npm "$SIG/keyless$version.json" "$FILE" root "$SIG/other/trusted_root.json" "$SUBJECT" "$ISSUER"
done

GO=$(unpack_deb sid sigstore-go)/usr/bin/sigstore-go-verification
say "sigstore-go ($(cat "$CACHE/sid/sigstore-go/.done"))"
by_go() { "$GO" -artifact "$2" -trustedrootJSONpath "${3:-$ROOT}" -expectedIssuer "$ISSUER" -expectedSAN "${4:-$SUBJECT}" "$1"; }
# Its program wants a time for every signature, which a key alone does not give: its library
# judges our keys in cosign 3, below.
for version in 1 2; do
  check "accepts keyless, log $version" by_go "$SIG/keyless$version.json" "$FILE"
  check "refuses a changed file" refuses by_go "$SIG/keyless$version.json" "$CHANGED"
  check "refuses another root" refuses by_go "$SIG/keyless$version.json" "$FILE" "$SIG/other/trusted_root.json"
  check "refuses another identity" refuses by_go "$SIG/keyless$version.json" "$FILE" "$ROOT" "https://forge.example/mallory"
done

# One package for each way of signing.
publish() { # publish NAME COMMAND…: packet-count under another name
  local folder=$WORK/$1
  cp -r "$TOP/bpf-packages/packet-count" "$folder"
  sed -i "s,netops/packet-count,netops/$1," "$folder/package.toml"
  "${@:2}" "$folder" >/dev/null
}
# trusting COMMAND…: as somebody who trusts only this identity under this root.
jq -Rs . "$ROOT" > "$SIG/quoted"
printf '[[identity]]\nregistry = "%s"\nnamespace = "netops"\nsigner = "oidc:%s#%s"\nsigstore_root = %s\n' \
  "$HOST" "$ISSUER" "$SUBJECT" "$(cat "$SIG/quoted")" > "$SIG/trust.toml"
trusting() { BPFPKG_TRUST=$SIG/trust.toml bpfpkg "$@"; }
at() { printf '%s/netops/%s@%s' "$HOST" "$1" "$(digest_of "$1" 1.0.0)"; }

# What cosign 2 is told about the instance, as it wants to be told.
jq -r '.certificateAuthorities[0].certChain.certificates[0].rawBytes' "$ROOT" | base64 -d | openssl x509 -inform der > "$SIG/fulcio.pem"
jq -r '.tlogs[0].publicKey.rawBytes' "$ROOT" | base64 -d | openssl pkey -pubin -inform der > "$SIG/rekor.pem"
jq -r '.ctlogs[0].publicKey.rawBytes' "$ROOT" | base64 -d | openssl pkey -pubin -inform der > "$SIG/ct.pem"
told() { SIGSTORE_ROOT_FILE=$SIG/fulcio.pem SIGSTORE_REKOR_PUBLIC_KEY=$SIG/rekor.pem SIGSTORE_CT_LOG_PUBLIC_KEY_FILE=$SIG/ct.pem "$@"; }

for version in 1 2; do publish "keyless-$version" keyless $version bpfpkg push --keyless; done
publish by-ed bpfpkg push --key "$WORK/ed.key"
WHO=(--certificate-identity "$SUBJECT" --certificate-oidc-issuer "$ISSUER")
for suite in trixie sid; do
  COSIGN=$(unpack_deb "$suite" cosign)/usr/bin/cosign
  case $suite in
    trixie) major=2 blob=(--new-bundle-format) trusted=(--trusted-root "$ROOT") logs=1 ;;
    *) major=3 blob=() trusted=() logs="1 2" ;;
  esac
  say "cosign $major ($(cat "$CACHE/$suite/cosign/.done"))"
  for kind in key ed; do
    blob_key() { "$COSIGN" verify-blob "${blob[@]}" --key "$WORK/$kind.pub" --bundle "$SIG/$kind.json" --insecure-ignore-tlog=true ${trusted[@]+"${trusted[@]}"} "$1"; }
    check "accepts our $kind signature of a file" blob_key "$FILE"
    check "refuses a changed file" refuses blob_key "$CHANGED"
  done
  image_ed() { "$COSIGN" verify --key "$WORK/$1.pub" --insecure-ignore-tlog=true --private-infrastructure --allow-http-registry "$(at by-ed)"; }
  check "accepts our ed signature of a version" image_ed ed
  check "refuses another Ed25519 key" refuses image_ed ed-other
  # cosign 2 does not know the second kind of log.
  for version in $logs; do
    blob_keyless() { "$COSIGN" verify-blob "${blob[@]}" --trusted-root "$2" "${WHO[@]}" --bundle "$SIG/keyless$version.json" "$1"; }
    check "accepts a keyless signature of a file, log $version" blob_keyless "$FILE" "$ROOT"
    check "refuses a changed file" refuses blob_keyless "$CHANGED" "$ROOT"
    check "refuses another root" refuses blob_keyless "$FILE" "$SIG/other/trusted_root.json"
    if [ $major = 2 ]; then
      image() { told "$COSIGN" verify --certificate-identity "$1" --certificate-oidc-issuer "$ISSUER" --allow-http-registry "$(at "keyless-$version")"; }
    else
      image() { "$COSIGN" verify --trusted-root "$ROOT" --certificate-identity "$1" --certificate-oidc-issuer "$ISSUER" --allow-http-registry "$(at "keyless-$version")"; }
    fi
    check "accepts a keyless signature of a version, log $version" image "$SUBJECT"
    check "refuses another identity" refuses image "https://forge.example/mallory"
  done

  publish "cosign-key-$major" bpfpkg push --no-sign
  publish "cosign-keyless-$major" bpfpkg push --no-sign
  check "we refuse what nobody signed" refuses bpfpkg verify "netops/cosign-key-$major" --key "$WORK/other.pub"
  if [ $major = 2 ]; then
    by_key=(--tlog-upload=false)
    keyless=(told "$COSIGN" sign --yes --fulcio-url "$INSTANCE" --rekor-url "$INSTANCE" --identity-token "$TOKEN")
  else
    "$COSIGN" signing-config create --no-default-fulcio --no-default-rekor --no-default-oidc --no-default-tsa \
      --fulcio "url=$INSTANCE,api-version=1,start-time=2024-01-01T00:00:00Z,operator=test" \
      --rekor "url=$INSTANCE,api-version=1,start-time=2024-01-01T00:00:00Z,operator=test" --rekor-config ANY \
      --out "$SIG/signing.json"
    by_key=(--tlog-upload=false --use-signing-config=false)
    keyless=("$COSIGN" sign --yes --signing-config "$SIG/signing.json" --trusted-root "$ROOT" --identity-token "$TOKEN")
  fi
  check "signs a version with a key" env COSIGN_PASSWORD="$BPFPKG_PASSWORD" "$COSIGN" sign --yes \
    --key "$WORK/other.key" "${by_key[@]}" --allow-http-registry "$(at "cosign-key-$major")"
  check "we accept that" bpfpkg verify "netops/cosign-key-$major" --key "$WORK/other.pub"
  check "we refuse it with another key" refuses bpfpkg verify "netops/cosign-key-$major" --key "$WORK/ed.pub"
  check "signs a version keyless" "${keyless[@]}" --allow-http-registry "$(at "cosign-keyless-$major")"
  check "we accept that" trusting verify "netops/cosign-keyless-$major"
  check "we refuse it with a key" refuses bpfpkg verify "netops/cosign-keyless-$major" --key "$WORK/other.pub"
done
