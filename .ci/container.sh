#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the container image and tries it: it starts as nobody, with a read-only root, is
# healthy, takes a push, and stops cleanly. Namespaces may be scarce where this runs, so the
# image is also tried in a bare chroot if podman cannot start it.
. "$(dirname "$0")/lib.sh"
cd "$TOP"
. .ci/static.sh
as_root true
command -v buildah >/dev/null || as_root apt-get install -y -qq --no-install-recommends buildah podman crun >&2

PROFILE=${PROFILE:-dev} build_static registry-server/bpfpkg-registry
file=$PROGRAMS/bpfpkg-registry
! readelf -d "$file" 2>/dev/null | grep -q NEEDED || die "$file needs shared libraries"

work=$(mktemp -d)
STORE=(--root "$work/store" --runroot "$work/run" --storage-driver vfs)
IMAGE=localhost/bpfpkg-registry:$RELEASE_VERSION
server=
stop() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  as_root rm -rf "$work"
}
trap stop EXIT

context=$work/context; mkdir -p "$context/data"
cp "$file" "$context/"
cp /etc/ssl/certs/ca-certificates.crt "$context/"
as_root buildah "${STORE[@]}" build --isolation chroot --format docker --timestamp "$SOURCE_DATE_EPOCH" \
  --tag "$IMAGE" --file dist/container/Containerfile "$context" >&2
as_root buildah "${STORE[@]}" push "$IMAGE" "oci-archive:$work/image.tar" >&2

config=$(as_root buildah "${STORE[@]}" inspect --type image "$IMAGE")
jq -e '.Docker.config | .User == "10001:10001" and .Healthcheck.Test[1] == "/bpfpkg-registry" and .StopSignal == "SIGTERM"' \
  <<< "$config" > /dev/null || die "the image says otherwise: $(jq .Docker.config <<< "$config")"

# The root of the image, mounted nowhere else, run as its user without a capability.
root=$work/root; mkdir "$root"
container=$(as_root buildah "${STORE[@]}" from "$IMAGE")
as_root cp -a "$(as_root buildah "${STORE[@]}" mount "$container")/." "$root/"
[ "$(as_root find "$root" -type f | wc -l)" = 2 ] || die "the image holds more than the program: $(as_root find "$root" -type f)"
# What every runtime of containers puts there.
as_root mkdir "$root/dev"
as_root mknod -m 666 "$root/dev/random" c 1 8
as_root mknod -m 666 "$root/dev/urandom" c 1 9
port=$((20000 + RANDOM % 20000))
env=(env -i BPFPKG_SERVER_DATA=/data "BPFPKG_SERVER_LISTEN=127.0.0.1:$port" BPFPKG_LOG_FORMAT=json TMPDIR=/data)
inside=("$(command -v chroot)" --userspec=10001:10001 --groups= "$root")
"${env[@]}" "${inside[@]}" /bpfpkg-registry serve > "$work/out" 2> "$work/log" &
server=$!
wait_for 20 "${env[@]}" "${inside[@]}" /bpfpkg-registry health || die "it never became healthy: $(cat "$work/log")"
token=$(grep -oE 'bpfpkg_[A-Za-z0-9_]+' "$work/out" | head -n 1)
code=$(curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" -d '{"name":"demo"}' "http://127.0.0.1:$port/api/v1/namespaces")
[ "$code" = 201 ] || die "a namespace: $code"
digest=sha256:$(printf hello | sha256sum | cut -d' ' -f1)
code=$(printf hello | curl -sS -o /dev/null -w '%{http_code}' -u "admin:$token" -H 'Content-Type: application/octet-stream' --data-binary @- \
  "http://127.0.0.1:$port/v2/demo/x/blobs/uploads/?digest=$digest")
[ "$code" = 201 ] || die "a blob: $code"
kill -TERM "$server"; code=0; wait "$server" || code=$?; server=
[ "$code" = 0 ] || die "it stopped with $code: $(cat "$work/log")"
! "${env[@]}" "${inside[@]}" /bpfpkg-registry health 2>/dev/null || die "a stopped registry is healthy"

# Where namespaces are to be had, the same by podman, with a read-only root.
if as_root podman "${STORE[@]}" run --rm --network none --cgroups disabled --read-only \
  --ulimit "nofile=$(ulimit -n):$(ulimit -n)" --ulimit "nproc=$(ulimit -u):$(ulimit -u)" "$IMAGE" --version > "$work/version" 2> "$work/podman"; then
  grep -q "$RELEASE_VERSION" "$work/version" || die "podman: $(cat "$work/version")"
  say "podman starts it too"
else
  say "*** podman cannot start containers here: $(tail -n 1 "$work/podman") ***"
fi
say "the image is $(du -h "$work/image.tar" | cut -f1), healthy, and stops cleanly"
