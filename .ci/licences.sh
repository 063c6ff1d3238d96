#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every source file says its licence in its first three lines: GPL-2.0-only OR MIT for
# C that runs in the kernel, Apache-2.0 for the rest.
. "$(dirname "$0")/lib.sh"
cd "$TOP"

bad=0
check() {
  local licence=$1; shift
  local file
  for file in "$@"; do
    head -n 3 "$file" | grep -qF "SPDX-License-Identifier: $licence" || { say "$file: no header \`SPDX-License-Identifier: $licence\`"; bad=1; }
  done
}
# What `bpfpkg init` writes belongs to whoever runs it.
check 0BSD registry-client/src/cli/init/*.c registry-client/src/cli/init/*.toml
mapfile -t kernel < <(git ls-files '*.c' '*.h' ':!registry-client/src/cli/init')
mapfile -t rest < <(git ls-files '*.rs' '*.sh' '*.toml' '*.sql' '*.html' '*.css' '*.js' '*.txt' Makefile .ci/run \
  | grep -vE '^registry-client/src/cli/init/')
check "GPL-2.0-only OR MIT" "${kernel[@]}"
check "Apache-2.0" "${rest[@]}"
if git grep -niE 'l3af' -- schema bpf-object registry-server registry-client ':!*.lock' | grep -v 'l3afd-lite' >&2; then
  say "the registry side must not depend on its first consumer"; bad=1
fi
exit $bad
