# SPDX-License-Identifier: Apache-2.0
# Debian ships crane's source, and no binary: it is built once, with Debian's own Go.
build_crane() {
  local sources go binary=$CACHE/crane/crane
  if [ ! -x "$binary" ]; then
    go=$(unpack_together trixie go golang-1.24-go golang-1.24-src)/usr/lib/go-1.24
    sources=$(unpack_together trixie crane golang-github-google-go-containerregistry-dev \
      golang-github-{cespare-xxhash,containerd-stargz-snapshotter,docker-distribution,docker-docker-credential-helpers,docker-docker}-dev \
      golang-github-{google-go-cmp,klauspost-compress,mitchellh-go-homedir,opencontainers-go-digest,opencontainers-image-spec}-dev \
      golang-github-{pkg-errors,sirupsen-logrus,spf13-cobra,spf13-pflag,vbatts-tar-split}-dev golang-golang-x-{sync,sys}-dev)/usr/share/gocode
    say "building crane"
    mkdir -p "$CACHE/crane"
    (cd "$sources/src/github.com/google/go-containerregistry/cmd/crane" && env GOROOT="$go" GOPATH="$sources" GOCACHE="$CACHE/crane/build" \
      GO111MODULE=off GOTOOLCHAIN=local GOFLAGS= CGO_ENABLED=0 "$go/bin/go" build -trimpath -o "$binary" . >&2)
    rm -rf "$CACHE/crane/build"
  fi
  printf '%s\n' "$binary"
}
CRANE=$(build_crane)
say "crane (go-containerregistry, Debian trixie)"
with_token() { env DOCKER_CONFIG="$WORK/crane" "$CRANE" "$@" --insecure; }
without() { nobody "$CRANE" "$@" --insecure; }
check "logs in" env DOCKER_CONFIG="$WORK/crane" "$CRANE" auth login "$HOST" --username admin --password "$ADMIN_TOKEN"
tar -C "$WORK" -cf "$WORK/layer.tar" key.pub
check "makes and pushes an image" with_token append --new_layer "$WORK/layer.tar" --new_tag "$HOST/netops/crane:1"
check "cannot push without a token" says "$UNKNOWN" without append --new_layer "$WORK/layer.tar" --new_tag "$HOST/netops/crane:no"
check "pulls it without login" without pull "$HOST/netops/crane:1" "$WORK/crane.tar"
check "pushes it to a private namespace" with_token push "$WORK/crane.tar" "$HOST/hidden/crane:1"
check "pulls nothing private without login" says "$UNKNOWN" without pull "$HOST/hidden/crane:1" "$WORK/none.tar"
check "pulls it with a token" with_token pull "$HOST/hidden/crane:1" "$WORK/hidden.tar"
check "copies between repositories by mounting" with_token copy "$HOST/netops/crane:1" "$HOST/netops/crane-copy:1"
check "checks every byte of it" without validate --remote "$HOST/netops/crane-copy:1"
check "tags it" with_token tag "$HOST/netops/crane:1" two
check "lists the tags, without login" prints "^two$" without ls "$HOST/netops/crane"
check "lists the repositories" prints "^hidden/crane$" with_token catalog "$HOST"
check "sees no private one without login" refuses prints "^hidden/" without catalog "$HOST"
check "keeps the digest of a whole package" same "$(with_token copy "$REF:1.0.0" "$HOST/netops/crane-package:edge" >/dev/null 2>&1; digest_of crane-package edge)" "$DIGEST"
check "deletes by digest" with_token delete "$HOST/netops/crane@$(digest_of crane two)"
check "both tags are gone" gone netops/crane/manifests/two
