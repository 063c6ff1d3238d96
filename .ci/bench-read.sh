#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Reads of the registry against docker-registry, and against nginx serving the same bytes
# as files: manifests, blobs, polls, one large blob, and the memory that it all takes.
# Prints ratios of one run on one machine; `wrk` makes the load on the same two cores.
. "$(dirname "$0")/lib.sh"
cd "$TOP"
SECONDS_EACH=${SECONDS_EACH:-4} ROUNDS=${ROUNDS:-3}
REGISTRY=$(unpack_deb bookworm docker-registry)/usr/bin/docker-registry
NGINX=$(unpack_deb bookworm nginx)/usr/sbin/nginx
WRK=$(unpack_deb bookworm wrk)/usr/bin/wrk
LUA=$(unpack_deb bookworm libluajit-5.1-2)/usr/lib/x86_64-linux-gnu
[ -n "${OURS_BIN:-}" ] || cargo build --locked --quiet --release -p registry-server
OURS_BIN=${OURS_BIN:-$TARGET/release/bpfpkg-registry}

WORK=$(mktemp -d -t bpfpkg-bench.XXXXXX)
PIDS=()
trap 'kill "${PIDS[@]}" 2>/dev/null; wait; rm -rf "$WORK"' EXIT
port=$((RANDOM % 20000 + 20000))
OURS=http://127.0.0.1:$port THEIRS=http://127.0.0.1:$((port + 1)) FILES=http://127.0.0.1:$((port + 2)) COPIED=http://127.0.0.1:$((port + 3))

# --- the three servers -------------------------------------------------------------
"$OURS_BIN" --log warn serve --data "$WORK/ours" --listen "${OURS#http://}" > "$WORK/ours.out" & PIDS+=($!)
cat > "$WORK/theirs.yml" <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $WORK/theirs}, cache: {blobdescriptor: inmemory}}
http: {addr: "${THEIRS#http://}"}
YAML
"$REGISTRY" serve "$WORK/theirs.yml" > "$WORK/theirs.log" 2>&1 & PIDS+=($!)
mkdir -p "$WORK/files/v2/bench/reads/manifests" "$WORK/files/v2/bench/reads/blobs"
cat > "$WORK/nginx.conf" <<CONF
user root; worker_processes 2; daemon off; pid $WORK/nginx.pid; error_log $WORK/nginx.log;
events { worker_connections 256; }
http {
  access_log off; keepalive_requests 1000000000; tcp_nopush on; open_file_cache max=100;
  client_body_temp_path $WORK/t1; proxy_temp_path $WORK/t2; fastcgi_temp_path $WORK/t3; uwsgi_temp_path $WORK/t4; scgi_temp_path $WORK/t5;
  server { listen ${FILES#http://}; root $WORK/files; sendfile on; }
  server { listen ${COPIED#http://}; root $WORK/files; sendfile off; }
}
CONF
chmod 755 "$WORK"
"$NGINX" -e "$WORK/nginx.log" -c "$WORK/nginx.conf" & PIDS+=($!)
for base in "$OURS/readyz" "$THEIRS/v2/" "$FILES/"; do
  wait_for 20 curl -sS -o /dev/null "$base" || die "$base does not answer"
done
TOKEN=$(grep -oE 'bpfpkg_[A-Za-z0-9_-]+' "$WORK/ours.out" | head -n 1)
AUTH=(-u "admin:$TOKEN")
curl -fsS "${AUTH[@]}" -H 'Content-Type: application/json' -d '{"name":"bench","visibility":"public"}' "$OURS/api/v1/namespaces" > /dev/null

# --- the same content on all ---------------------------------------------------------
put_blob() { # put_blob BASE FILE DIGEST [CURL OPTIONS]
  local base=$1 file=$2 digest=$3 location; shift 3
  location=$(curl -fsS "$@" -X POST -D - -o /dev/null -H 'Content-Length: 0' "$base/v2/bench/reads/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
  [[ $location == http* ]] || location=$base$location
  [[ $location == *\?* ]] && location="$location&" || location="$location?"
  curl -fsS "$@" -o /dev/null -T "$file" -H 'Content-Type: application/octet-stream' "${location}digest=$digest"
}
digest() { printf 'sha256:%s' "$(sha256sum "$1" | cut -d' ' -f1)"; }
printf '{}' > "$WORK/config"
head -c 20480 /dev/urandom > "$WORK/small"
head -c $((64 << 20)) /dev/urandom > "$WORK/large"
CONFIG=$(digest "$WORK/config") SMALL=$(digest "$WORK/small") LARGE=$(digest "$WORK/large")
jq -jn --arg c "$CONFIG" --arg s "$SMALL" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
  config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $c, size: 2},
  layers: [{mediaType: "application/vnd.bpfpkg.object.v1+elf", digest: $s, size: 20480}]}' > "$WORK/manifest"
MANIFEST=$(digest "$WORK/manifest")
for base in "$OURS" "$THEIRS"; do
  [ "$base" = "$OURS" ] && auth=("${AUTH[@]}") || auth=(-s)
  for file in config small large; do put_blob "$base" "$WORK/$file" "$(digest "$WORK/$file")" "${auth[@]}"; done
  curl -fsS "${auth[@]}" -o /dev/null -X PUT --data-binary "@$WORK/manifest" \
    -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' "$base/v2/bench/reads/manifests/v1"
done
cp "$WORK/manifest" "$WORK/files/v2/bench/reads/manifests/v1"
cp "$WORK/manifest" "$WORK/files/v2/bench/reads/manifests/$MANIFEST"
for file in small large; do cp "$WORK/$file" "$WORK/files/v2/bench/reads/blobs/$(digest "$WORK/$file")"; done

# --- measuring -------------------------------------------------------------------
ACCEPT=(-H 'Accept: application/vnd.oci.image.manifest.v1+json')
rate() { # rate CONNECTIONS URL [WRK OPTIONS]: answers per second
  local connections=$1 url=$2; shift 2
  LD_LIBRARY_PATH=$LUA "$WRK" -t1 -c"$connections" -d"${SECONDS_EACH}s" "${ACCEPT[@]}" "$@" "$url" > "$WORK/wrk"
  ! grep -q 'Non-2xx\|Socket errors' "$WORK/wrk" || { cat "$WORK/wrk" >&2; die "$url answered with errors"; }
  awk '/^Requests\/sec/ { print $2 }' "$WORK/wrk"
}
median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
row() { printf '%-44s %s\n' "$1" "$2"; }
compare() { # compare NAME CONNECTIONS PATH [WRK OPTIONS]
  local name=$1 connections=$2 path=$3 round ours theirs files copied; shift 3
  : > "$WORK/r1"; : > "$WORK/r2"; : > "$WORK/r3"
  for ((round = 0; round < ROUNDS; round++)); do
    ours=$(rate "$connections" "$OURS$path" "$@"); theirs=$(rate "$connections" "$THEIRS$path" "$@")
    files=$(rate "$connections" "$FILES$path" "$@"); copied=$(rate "$connections" "$COPIED$path" "$@")
    awk "BEGIN { print $ours / $theirs }" >> "$WORK/r1"
    awk "BEGIN { print 100 * $ours / $files }" >> "$WORK/r2"; awk "BEGIN { print 100 * $ours / $copied }" >> "$WORK/r3"
    [ -z "${VERBOSE:-}" ] || say "  $name: $ours, docker-registry $theirs, nginx $files, without sendfile $copied"
  done
  row "$name" "$(printf '%.1f x docker-registry, %.0f %% of nginx (%.0f %% without sendfile)' "$(median < "$WORK/r1")" "$(median < "$WORK/r2")" "$(median < "$WORK/r3")")"
}
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
peak() { awk '/^VmHWM/ { print $2 }' "/proc/$1/status"; }

compare "GET manifest by tag" 8 /v2/bench/reads/manifests/v1
compare "GET manifest by digest" 8 "/v2/bench/reads/manifests/$MANIFEST"
compare "GET blob of 20 kB" 8 "/v2/bench/reads/blobs/$SMALL"
compare "GET blob of 64 MiB" 2 "/v2/bench/reads/blobs/$LARGE"

polls=$(rate 8 "$OURS/v2/bench/reads/manifests/v1" -H "If-None-Match: \"$MANIFEST\"" | cut -d. -f1)
row "conditional polls of a tag" "$(awk "BEGIN { printf \"%.1f x the 10,000/s to reach\", $polls / 10000 }")"

: > "$WORK/r1"
for ((round = 0; round < ROUNDS; round++)); do
  times=()
  for base in "$OURS" "$THEIRS"; do
    head -c $((64 << 20)) /dev/urandom > "$WORK/push"; name=$(digest "$WORK/push")
    [ "$base" = "$OURS" ] && auth=("${AUTH[@]}") || auth=(-s)
    start=$(date +%s%N); put_blob "$base" "$WORK/push" "$name" "${auth[@]}"; times+=($(($(date +%s%N) - start)))
  done
  awk "BEGIN { print ${times[1]} / ${times[0]} }" >> "$WORK/r1"
done
row "push of a blob of 64 MiB" "$(printf '%.2f x docker-registry (ours is synced to disk)' "$(median < "$WORK/r1")")"
row "resident memory after all of it" "$(awk "BEGIN { printf \"%.2f x docker-registry (peak %.2f x)\", $(resident "${PIDS[0]}") / $(resident "${PIDS[1]}"), $(peak "${PIDS[0]}") / $(peak "${PIDS[1]}") }")"
[ -z "${VERBOSE:-}" ] || say "  resident $(resident "${PIDS[0]}") kB against $(resident "${PIDS[1]}") kB"
