# SPDX-License-Identifier: Apache-2.0
say "podman $(podman --version | grep -oE '[0-9.]+' | head -n 1)"
engine() { local verb=$1; shift; podman --root "$WORK/containers" --runroot "$WORK/run" --storage-driver vfs --cgroup-manager cgroupfs --events-backend none "$verb" "$@"; }
tar -C "$WORK" -cf "$WORK/root.tar" key.pub
check "makes an image of one file" engine import "$WORK/root.tar" localhost/small:1
check "cannot push without a token" says "$UNKNOWN" \
  nobody engine push --tls-verify=false localhost/small:1 "$HOST/netops/podman:1"
check "logs in" engine login --tls-verify=false --authfile "$WORK/podman.json" --username admin --password "$ADMIN_TOKEN" "$HOST"
check "pushes it" engine push --tls-verify=false --authfile "$WORK/podman.json" localhost/small:1 "$HOST/netops/podman:1"
check "pushes it to a private namespace" engine push --tls-verify=false --authfile "$WORK/podman.json" localhost/small:1 "$HOST/hidden/podman:1"
engine rmi --all --force > /dev/null 2>&1 || true
check "pulls it without login" nobody engine pull --tls-verify=false "$HOST/netops/podman:1"
check "pulls nothing private without login" says "$UNKNOWN" \
  nobody engine pull --tls-verify=false "$HOST/hidden/podman:1"
check "pulls it with a token" engine pull --tls-verify=false --authfile "$WORK/podman.json" "$HOST/hidden/podman:1"
check "lists the tags" prints "netops/podman +1" engine search --tls-verify=false --authfile "$WORK/podman.json" --list-tags "$HOST/netops/podman"
check "pulls a package as an image" nobody engine pull --tls-verify=false --arch amd64 "$REF:1.0.0"
