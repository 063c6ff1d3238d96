#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that building, the demo and the tests need.
. "$(dirname "$0")/lib.sh"

PACKAGES=(
  gcc libc6-dev               # linker and C library for Rust crates
  clang libbpf-dev bpftool    # compiler, headers and looking glass for eBPF programs
  iproute2 iputils-ping util-linux procps  # network namespaces and traffic
  postgresql postgresql-client  # the second database, in tests
  skopeo podman buildah python3-venv  # other registry clients, in tests
  nginx-light strace          # several replicas behind one address, and disks that fail, in tests
  ca-certificates curl jq git openssl
)

# Node.js may come from elsewhere, with its package manager; Debian's would not go with that.
command -v npm >/dev/null || PACKAGES+=(nodejs npm)

missing=()
for package in "${PACKAGES[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "installing: ${missing[*]}"
  as_root apt-get update -qq
  # No database may start by itself on somebody's machine because of our tests.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi

# An S3 server, for the tests against a bucket.
if [ ! -x "$CACHE/moto/bin/moto_server" ]; then
  say "installing moto"
  python3 -m venv "$CACHE/moto" && "$CACHE/moto/bin/pip" install --quiet 'moto[s3,server]==5.2.5'
fi

# A Sigstore instance, for the tests of keyless signing.
sigstore_npm > /dev/null

command -v cargo >/dev/null || die "cargo is not on PATH: install a Rust toolchain first (rustup, channel 1.95.0)"
say "set-up is complete"
