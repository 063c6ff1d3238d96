#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The registry side stands alone: it must build with the node and the packages removed.
. "$(dirname "$0")/lib.sh"
copy=$(mktemp -d); trap 'rm -rf "$copy"' EXIT
cd "$TOP"
git ls-files -z | grep -zvE '^(l3afd-lite|bpf-packages)/' | xargs -0 cp --parents -t "$copy"
sed -i '/^members/s/, "l3afd-lite", "bpf-packages"//' "$copy/Cargo.toml"
cd "$copy" && CARGO_TARGET_DIR=$TARGET cargo check --quiet --offline --workspace --all-targets
say "the registry side builds alone"
