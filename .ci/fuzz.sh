#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes every target under */fuzz for SECONDS each (default 60), without a sanitizer:
# the crates forbid unsafe code, so what is looked for is panics, hangs and memory.
. "$(dirname "$0")/lib.sh"
seconds=${SECONDS_EACH:-60}
fuzz=$(cargo_tool cargo-fuzz 0.13.1)
cd "$TOP"
for manifest in */fuzz/Cargo.toml; do
  crate=${manifest%/fuzz/Cargo.toml}
  for target in $(cd "$crate" && "$fuzz" list); do
    say "=== $crate: $target, $seconds s"
    (cd "$crate" && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$CACHE/fuzz-target "$fuzz" run --sanitizer none "$target" \
      -- -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -print_final_stats=0)
  done
done
