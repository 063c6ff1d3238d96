#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes every target under */fuzz for SECONDS each (default 60), without a sanitizer:
# the crates forbid unsafe code, so what is looked for is panics, hangs and memory.
. "$(dirname "$0")/lib.sh"
seconds=${SECONDS_EACH:-60}
fuzz=$(cargo_tool cargo-fuzz 0.13.1)
cd "$TOP"

# Nobody finds the way into an ELF file by chance: begin with objects of all our sources.
seeds=$CACHE/fuzz-seeds; mkdir -p "$seeds/everything"
for source in bpf-packages/*/*.bpf.c bpf-object/tests/c/*.bpf.c; do
  for target in bpfel bpfeb; do
    clang -O2 -g -target "$target" -Ibpf-packages/include -I"/usr/include/$(uname -m)-linux-gnu" -c "$source" \
      -o "$seeds/everything/$(basename "$source" .bpf.c)-$target.o" 2> "$seeds/log" || { cat "$seeds/log" >&2; die "$source does not compile"; }
  done
done

for manifest in */fuzz/Cargo.toml; do
  crate=${manifest%/fuzz/Cargo.toml}
  for target in $(cd "$crate" && "$fuzz" list); do
    say "=== $crate: $target, $seconds s"
    mkdir -p "$crate/fuzz/corpus/$target" "$seeds/$target"
    (cd "$crate" && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$CACHE/fuzz-target "$fuzz" run --sanitizer none "$target" \
      "fuzz/corpus/$target" "$seeds/$target" -- -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -print_final_stats=0)
  done
done
