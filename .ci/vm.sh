#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The node on other kernels: boots Debian's cloud kernel of each SUITE (bullseye 5.10,
# bookworm 6.1, trixie 6.12) under emulation, and applies the packages inside.
# Usage: vm.sh [SUITE…]
. "$(dirname "$0")/lib.sh"
. "$TOP/.ci/registry.sh"
trap 'code=$?; stop "$REGISTRY_PID"; rm -rf "$WORK"; exit $code' EXIT
suites=("$@"); [ ${#suites[@]} -gt 0 ] || suites=(bullseye bookworm trixie)

as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  qemu-system-x86 seabios ipxe-qemu busybox-static cpio xz-utils kmod >/dev/null

# put FILE… : copies programs with the libraries they need into the image.
ROOT=$WORK/root
put() {
  local file library
  for file in "$@"; do
    install -D "$file" "$ROOT/bin/$(basename "$file")"
    for library in $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*'); do
      [ -e "$ROOT$library" ] || install -D "$library" "$ROOT$library"
    done
  done
}

say "a registry with the packages, to be taken along"
start_registry
printf '%s' "$ADMIN_TOKEN" | bpfpkg login "$HOST" --user admin --password-stdin
bpfpkg namespace create netops > /dev/null
bpfpkg keygen --output "$WORK/key" > /dev/null
bpfpkg namespace key add netops "$WORK/key.pub" > /dev/null
cp -r "$TOP/bpf-packages/include" "$WORK/"
for package in ratelimiting packet-count exec-trace; do
  cp -r "$TOP/bpf-packages/$package" "$WORK/"
  bpfpkg push --key "$WORK/key.key" "$WORK/$package" > /dev/null
done
bpfpkg trust add netops --yes > /dev/null
stop "$REGISTRY_PID"; REGISTRY_PID=

mkdir -p "$ROOT"/{bin,proc,sys,dev,tmp,run/netns,etc,modules}
put /bin/busybox /sbin/ip "$BIN/bpfpkg-registry" "$BIN/l3afd-lite"
cp -r "$WORK/registry" "$ROOT/registry"
install -D /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/ca-certificates.crt"
cp "$XDG_CONFIG_HOME/bpfpkg/trust.toml" "$ROOT/etc/trust.toml"
sed "s/@HOST@/$HOST/g" "$TOP/.ci/vm-node.toml" > "$ROOT/etc/node.toml"
sed "s/@HOST@/$HOST/g" "$TOP/.ci/vm-init.sh" > "$ROOT/init"; chmod +x "$ROOT/init"
(cd "$ROOT" && find . | cpio -o -H newc --quiet) | gzip -1 > "$WORK/base.gz"

failed=0 passed=0
for suite in "${suites[@]}"; do
  package=$(package_in "$suite" linux-image-cloud-amd64)
  kernel=$(unpack_deb "$suite" "$package")
  modules=$WORK/modules-$suite; mkdir -p "$modules/modules"
  for name in veth sch_ingress cls_bpf; do
    file=$(find "$kernel" -name "$name.ko*" | head -n 1)
    case $file in
      *.xz) xz -dc "$file" > "$modules/modules/$name.ko" ;;
      ?*) cp "$file" "$modules/modules/$name.ko" ;;
    esac
  done
  (cd "$modules" && find modules | cpio -o -H newc --quiet) | gzip -1 > "$WORK/modules.gz"
  cat "$WORK/base.gz" "$WORK/modules.gz" > "$WORK/initrd.gz"
  say "=== $suite: $package"
  timeout 300 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -M q35 -m 2048 -smp 2 \
    -kernel "$(find "$kernel" -name 'vmlinuz*' | head -n 1)" -initrd "$WORK/initrd.gz" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off" \
    -nographic -no-reboot -nodefaults -serial stdio -display none > "$WORK/vm.log" 2>&1 < /dev/null || true
  tr -d '\r' < "$WORK/vm.log" | grep -E '^(ok|FAILED|kernel)' >&2 || true
  if tr -d '\r' < "$WORK/vm.log" | grep -qx 'VM: all held'; then passed=$((passed + 1))
  else failed=$((failed + 1)); tail -n 60 "$WORK/vm.log" >&2
  fi
done
printf 'vm: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
