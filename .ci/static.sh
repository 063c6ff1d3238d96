# SPDX-License-Identifier: Apache-2.0
# How the programs of a release are built; sourced after lib.sh. A static program serves
# every distribution and the empty container alike. Nothing of the machine and the moment
# gets in, so that the same commit gives the same bytes.
RELEASE_VERSION=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' "$TOP/Cargo.toml")
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$TOP" log -1 --format=%ct)}

# build_static CRATE/PROGRAM…: builds into $PROGRAMS, with the profile PROFILE. With `dev` only
# the last step differs from an ordinary build, so that tests need no second one.
build_static() {
  local one host
  if [ "${PROFILE:-release}" = dev ]; then
    PROGRAMS=$TARGET/static; mkdir -p "$PROGRAMS"
    for one in "$@"; do
      cargo rustc --locked -p "${one%/*}" --bin "${one#*/}" -- -C target-feature=+crt-static -C strip=symbols
      cp "$TARGET/debug/${one#*/}" "$PROGRAMS/"
    done
  else
    host=$(rustc -vV | sed -n 's/^host: //p')
    PROGRAMS=$TARGET/$host/release
    local packages=()
    for one in "$@"; do packages+=(-p "${one%/*}"); done
    CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_INCREMENTAL=0 \
      RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$TOP=/src --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
      cargo build --locked --release --target "$host" "${packages[@]}" --bins
  fi
}
