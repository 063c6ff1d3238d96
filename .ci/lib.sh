# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts of this folder; sourced, never run.
set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Tools that must be compiled or unpacked live here, outside the checkout.
CACHE=${BPFPKG_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bpfpkg-tools}
TARGET=${CARGO_TARGET_DIR:-$TOP/target}
BIN=${BPFPKG_BIN:-$TARGET/debug}

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "this needs root: run it as root, or install sudo"
  fi
}

# suite_apt SUITE COMMAND…: apt of another Debian suite, with lists of its own.
suite_apt() {
  local suite=$1 apt=$CACHE/$1/apt mirror command=$2; shift 2
  local options=(-o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
  if [ ! -e "$apt/.done" ]; then
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    mirror=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
      sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' | grep -v security | head -n 1) || true
    [ -n "$mirror" ] || die "no Debian mirror is configured in /etc/apt"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$apt/sources.list"
    apt-get "${options[@]}" -qq update >&2
    touch "$apt/.done"
  fi
  "$command" "${options[@]}" "$@"
}

# package_in SUITE METAPACKAGE: the package that a metapackage of another suite stands for.
package_in() {
  suite_apt "$1" apt-cache depends "$2" | sed -nE 's/^ *Depends: (linux-image-[0-9].*)/\1/p' | head -n 1
}

# unpack_deb SUITE PACKAGE: unpacks a Debian package beside the system, prints where.
unpack_deb() {
  local suite=$1 package=$2 dir=$CACHE/$1/$2
  if [ ! -e "$dir/.done" ]; then
    mkdir -p "$dir"
    # A list that has gone stale names files that are gone: fetch it anew, once.
    (cd "$dir" && { suite_apt "$suite" apt-get -qq download "$package" >&2 ||
      { rm -f "$CACHE/$suite/apt/.done"; suite_apt "$suite" apt-get -qq download "$package" >&2; }; } && dpkg -x "$package"_*.deb . &&
      dpkg-deb -f "$package"_*.deb Version > .version && rm "$package"_*.deb && mv .version .done)
  fi
  printf '%s\n' "$dir"
}

# unpack_together SUITE NAME PACKAGE…: unpacks several Debian packages into one tree of
# that name, prints where. For what expects its parts beside each other.
unpack_together() {
  local suite=$1 dir=$CACHE/$1/$2; shift 2
  if [ ! -e "$dir/.done" ]; then
    rm -rf "$dir"; mkdir -p "$dir/.debs"
    (cd "$dir/.debs" && { suite_apt "$suite" apt-get -qq download "$@" >&2 ||
      { rm -f "$CACHE/$suite/apt/.done"; suite_apt "$suite" apt-get -qq download "$@" >&2; }; } &&
      for deb in *.deb; do dpkg -x "$deb" "$dir"; done)
    rm -rf "$dir/.debs" && touch "$dir/.done"
  fi
  printf '%s\n' "$dir"
}

# cargo_tool NAME VERSION: installs a cargo tool into the cache, prints its path.
cargo_tool() {
  local name=$1 version=$2 dir=$CACHE/cargo/$1-$2
  if [ ! -x "$dir/bin/$name" ]; then
    (cd / && CARGO_TARGET_DIR=$CACHE/cargo/build cargo install --quiet --locked --root "$dir" --version "$version" "$name" >&2)
    rm -rf "$CACHE/cargo/build"
  fi
  printf '%s\n' "$dir/bin/$name"
}

# sigstore_npm: installs what a local Sigstore instance and npm's verifier need, prints where.
sigstore_npm() {
  local dir=$CACHE/sigstore-npm
  [ -e "$dir/.done" ] || { mkdir -p "$dir" && npm install --silent --no-audit --no-fund --prefix "$dir" \
    @sigstore/mock@0.12.1 @sigstore/verify@3.1.1 @sigstore/bundle@4.0.0 @sigstore/protobuf-specs@0.5.2 >&2 && touch "$dir/.done"; }
  printf '%s\n' "$dir/node_modules"
}

# wait_for SECONDS COMMAND…: repeats the command until it succeeds.
wait_for() {
  local tries=$(($1 * 10)); shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1)); [ $tries -gt 0 ] || return 1
    sleep 0.1
  done
}
