# SPDX-License-Identifier: Apache-2.0
say "buildah $(buildah --version | grep -oE '[0-9.]+' | head -n 1)"
builder() { buildah --root "$WORK/built" --runroot "$WORK/run-built" --storage-driver vfs "$@"; }
container=$(builder from scratch)
check "makes an image of one file" builder copy "$container" "$WORK/key.pub" /
check "commits it" builder commit --quiet "$container" localhost/built:1
check "cannot push without a token" says "$UNKNOWN" \
  nobody builder push --quiet --tls-verify=false localhost/built:1 "docker://$HOST/netops/buildah:1"
check "pushes it" builder push --quiet --tls-verify=false --creds "admin:$ADMIN_TOKEN" localhost/built:1 "docker://$HOST/netops/buildah:1"
check "pushes it in Docker's format" builder push --quiet --tls-verify=false --format v2s2 --creds "admin:$ADMIN_TOKEN" \
  localhost/built:1 "docker://$HOST/netops/buildah:docker"
check "makes a list of two" builder manifest create both "docker://$HOST/netops/buildah:1" --tls-verify=false
check "pushes the list" builder manifest push --quiet --all --tls-verify=false --creds "admin:$ADMIN_TOKEN" both "docker://$HOST/netops/buildah:both"
builder rm --all > /dev/null; builder rmi --all --force > /dev/null
check "pulls it without login" nobody builder pull --quiet --tls-verify=false "docker://$HOST/netops/buildah:1"
check "pulls Docker's format" nobody builder pull --quiet --tls-verify=false "docker://$HOST/netops/buildah:docker"
