#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the Rust tests. cargo runs as the caller; where the caller is not root, the
# test programs alone are started through sudo, since many load eBPF programs.
. "$(dirname "$0")/lib.sh"
cd "$TOP"

if [ "$(id -u)" != 0 ]; then
  as_root true
  export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E env PATH=$PATH"
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E env PATH=$PATH"
fi
cargo test --locked --workspace "$@"
