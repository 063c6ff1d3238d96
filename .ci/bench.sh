#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ratios against peers, measured in the same run on the same machine.
. "$(dirname "$0")/lib.sh"
cd "$TOP"
registry=$(unpack_deb bookworm docker-registry)/usr/bin/docker-registry
work=$(mktemp -d) pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
port=$((RANDOM % 20000 + 20000))
cat > "$work/config.yml" <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/data}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$port"}
YAML
"$registry" serve "$work/config.yml" > "$work/log" 2>&1 & pid=$!
wait_for 10 curl -fsS "http://127.0.0.1:$port/v2/" || { cat "$work/log" >&2; die "docker-registry did not start"; }
PEER=http://127.0.0.1:$port cargo bench --locked --quiet -p registry-server --bench push_pull
bash .ci/bench-read.sh
cargo bench --locked --quiet -p registry-server --bench log
cargo bench --locked --quiet -p registry-client --bench verify
as_root env PATH="$PATH" HOME="$HOME" CARGO_TARGET_DIR="$TARGET" cargo bench --locked --quiet -p bpf-packages --bench chain
