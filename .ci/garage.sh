#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests against a bucket, with Garage in the place of moto: another server's idea of S3,
# which checks signatures and syncs to disk. Building it takes ten minutes, once.
. "$(dirname "$0")/lib.sh"
cd "$TOP"
GARAGE=$(cargo_tool garage 2.5.0)
work=$(mktemp -d) pid=
trap '[ -z "$pid" ] || { kill "$pid"; wait "$pid"; } 2>/dev/null; rm -rf "$work"' EXIT
port=$((RANDOM % 20000 + 20000))
cat > "$work/garage.toml" <<TOML
metadata_dir = "$work/meta"
data_dir = "$work/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:$((port + 1))"
rpc_public_addr = "127.0.0.1:$((port + 1))"
rpc_secret = "$(openssl rand -hex 32)"
[s3_api]
s3_region = "us-east-1"
api_bind_addr = "127.0.0.1:$port"
TOML
garage() { "$GARAGE" -c "$work/garage.toml" "$@"; }
RUST_LOG=error "$GARAGE" -c "$work/garage.toml" server > "$work/log" 2>&1 & pid=$!
wait_for 20 garage status || { cat "$work/log" >&2; die "Garage did not start"; }
key=GK$(openssl rand -hex 12) secret=$(openssl rand -hex 32)
{
  garage layout assign --zone here --capacity 1G "$(garage node id -q | cut -d@ -f1)"
  garage layout apply --version 1
  garage key import --yes "$key" "$secret" -n tests
  garage bucket create blobs
  garage bucket allow --read --write --owner blobs --key "$key"
} > "$work/set-up" 2>&1 || { cat "$work/set-up" >&2; die "Garage was not set up"; }
BPFPKG_TEST_S3=http://127.0.0.1:$port,$key,$secret \
  cargo test --locked --workspace --test registry -- bucket:: replicas::
