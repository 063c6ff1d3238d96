#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds what a release consists of: three static programs, a Debian package of each, the
# lists of what they are made of, checksums, and a signature by our own client.
#   RELEASE_KEY=bpfpkg.key      signs; without it the checksums stay unsigned, said loudly
#   PROGRAMS=DIR                packs the programs that are there: for tests of this script
. "$(dirname "$0")/lib.sh"
cd "$TOP"
. .ci/static.sh

OUT=${OUT:-$TARGET/release-$RELEASE_VERSION}
ARCH=$(dpkg --print-architecture)
umask 022
[ -n "${PROGRAMS:-}" ] || build_static registry-server/bpfpkg-registry registry-client/bpfpkg l3afd-lite/l3afd-lite
rm -rf "$OUT"; mkdir -p "$OUT"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

# stage NAME: the tree of a Debian package, with what all of them have.
stage() {
  tree=$work/$1
  install -Dm755 "$PROGRAMS/$1" "$tree/usr/bin/$1"
  install -Dm644 NOTICE "$tree/usr/share/doc/$1/copyright"
  cat LICENSE-APACHE >> "$tree/usr/share/doc/$1/copyright"
  mkdir "$tree/DEBIAN"
}

# manual NAME: manual pages and completions, which the program writes itself.
manual() {
  mkdir -p "$tree/usr/share/man/man1"
  "$PROGRAMS/$1" man "$tree/usr/share/man/man1"
  gzip -9n "$tree/usr/share/man/man1"/*.1
  mkdir -p "$tree"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
  "$PROGRAMS/$1" completions bash > "$tree/usr/share/bash-completion/completions/$1"
  "$PROGRAMS/$1" completions zsh > "$tree/usr/share/zsh/vendor-completions/_$1"
  "$PROGRAMS/$1" completions fish > "$tree/usr/share/fish/vendor_completions.d/$1.fish"
}

# service NAME: the unit, and what Debian runs when the package comes and goes.
service() {
  install -Dm644 "dist/systemd/$1.service" "$tree/usr/lib/systemd/system/$1.service"
  [ ! -e "dist/systemd/$1.sysusers" ] || install -Dm644 "dist/systemd/$1.sysusers" "$tree/usr/lib/sysusers.d/$1.conf"
  [ ! -e "dist/systemd/$1.tmpfiles" ] || install -Dm644 "dist/systemd/$1.tmpfiles" "$tree/usr/lib/tmpfiles.d/$1.conf"
  local script
  for script in postinst prerm; do
    sed "s/@NAME@/$1/g" "dist/deb/$script" > "$tree/DEBIAN/$script"
    chmod 755 "$tree/DEBIAN/$script"
  done
}

# pack NAME CRATE DESCRIPTION: the Debian package, the same bytes each time, and its list.
pack() {
  local name=$1 crate=$2 description=$3
  cat > "$tree/DEBIAN/control" <<END
Package: $name
Version: $RELEASE_VERSION
Architecture: $ARCH
Maintainer: The bpfpkg founders <security@bpfpkg.invalid>
Section: admin
Priority: optional
Installed-Size: $(du -sk --apparent-size --exclude=DEBIAN "$tree" | cut -f1)
Description: $description
END
  (cd "$tree" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum > DEBIAN/md5sums)
  find "$tree" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group --build -Zxz "$tree" "$OUT/${name}_${RELEASE_VERSION}_$ARCH.deb" > /dev/null
  install -m755 "$PROGRAMS/$name" "$OUT/$name-$ARCH"
  python3 .ci/sbom.py "$crate" Cargo.lock < "$work/metadata" > "$OUT/$name.cdx.json"
}

cargo metadata --locked --format-version 1 --filter-platform "$(rustc -vV | sed -n "s,^host: ,,p")" > "$work/metadata"

stage bpfpkg-registry; manual bpfpkg-registry; service bpfpkg-registry
install -Dm644 dist/registry.toml "$tree/etc/bpfpkg/registry.toml"
echo /etc/bpfpkg/registry.toml > "$tree/DEBIAN/conffiles"
pack bpfpkg-registry registry-server "registry for signed eBPF packages"

stage bpfpkg; manual bpfpkg
pack bpfpkg registry-client "publish, find, verify and fetch signed eBPF packages"

stage l3afd-lite; service l3afd-lite
pack l3afd-lite l3afd-lite "pulls, verifies and chains signed eBPF programs"

(cd "$OUT" && sha256sum -- * > "$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
if [ -n "${RELEASE_KEY:-}" ]; then
  "$PROGRAMS/bpfpkg" sign --raw "$OUT/SHA256SUMS" --key "$RELEASE_KEY"
else
  say "*** SHA256SUMS is not signed: name a key with RELEASE_KEY ***"
fi
say "released into $OUT"
ls -l "$OUT" >&2
