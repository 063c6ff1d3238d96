#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A guided tour: publish, browse, pull, verify, chain, on one machine, from built
# programs. Leaves nothing behind; exits non-zero if anything did not hold.
# KEEP=1 leaves the registry running and prints its address.
. "$(dirname "$0")/lib.sh"
. "$TOP/.ci/registry.sh"

# ---- showing ----------------------------------------------------------------
bold=$(tput bold 2>/dev/null || true) dim=$(tput dim 2>/dev/null || true) plain=$(tput sgr0 2>/dev/null || true)
rows=() failures=0
title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '   %s\n' "$*"; }
show() { printf '   %s$ %s%s\n' "$dim" "${*/#"$BIN"\//}" "$plain"; "$@" 2>&1 | sed 's/^/   /'; }
holds() { # holds "promise" "what was seen" COMMAND…
  local promise=$1 seen=$2; shift 2
  if "$@"; then rows+=("ok      | $promise | $seen"); note "ok: $promise ($seen)"
  else rows+=("FAILED  | $promise | $seen"); failures=$((failures + 1)); note "FAILED: $promise ($seen)"
  fi
}
metric() { curl -fsS "http://$METRICS/metrics" | awk -v name="$1" 'index($0, name) == 1 { sum += $NF } END { print sum + 0 }'; }

# ---- the part that needs root: own mount namespace, two network namespaces -----
# The node's pins live on a bpffs of this mount namespace, which lasts as long as
# the demo: a daemon that is killed finds its pins again, and nothing is left after.
if [ "${DEMO_STAGE:-}" != node ]; then
  trap 'code=$?; [ -n "${KEEP:-}" ] && [ $code = 0 ] || stop "$REGISTRY_PID"; [ -n "${KEEP:-}" ] && [ $code = 0 ] || rm -rf "$WORK"; exit $code' EXIT
  title "1. A registry: one program, one folder, no set-up"
  show echo "bpfpkg-registry serve --data DIR --listen 127.0.0.1:0"
  start_registry
  sed 's/^/   /' "$WORK/registry.out"
  note "an empty catalogue tells how to fill it: http://$HOST/"

  title "2. Log in, create a namespace, make a key pair"
  note "\$ bpfpkg login $HOST --user admin --password-stdin"
  printf '%s' "$ADMIN_TOKEN" | bpfpkg login "$HOST" --user admin --password-stdin 2>&1 | sed 's/^/   /'
  show bpfpkg namespace create netops
  show bpfpkg keygen --output "$WORK/netops"
  show bpfpkg namespace key add netops "$WORK/netops.pub"

  title "3. Build, sign and push three packages"
  cp -r "$TOP/bpf-packages/include" "$WORK/"
  for package in ratelimiting packet-count exec-trace; do
    cp -r "$TOP/bpf-packages/$package" "$WORK/"
    show bpfpkg push --key "$WORK/netops.key" "$WORK/$package"
  done

  title "4. Search: by command and by page"
  show bpfpkg search syn
  page=$(curl -fsS "http://$HOST/search?q=syn")
  holds "the page finds what the command finds" "GET /search?q=syn" grep -q netops/ratelimiting <<< "$page"
  page=$(curl -fsS "http://$HOST/packages/netops/ratelimiting/1.0.0")
  fingerprint=$(bpfpkg namespace key list netops --output json | jq -r '.[0].fingerprint')
  holds "the version page names the signer" "$fingerprint" grep -qF "$fingerprint" <<< "$page"
  holds "and says what the programs can do" "drop packets" grep -qi "drop packets" <<< "$page"

  export DEMO_STAGE=node HOST ADMIN_TOKEN WORK BIN
  printf '%s\n' "${rows[@]}" > "$WORK/rows"
  as_root env DEMO_STAGE=node BPFPKG_BIN="$BIN" HOST="$HOST" WORK="$WORK" PATH="$PATH" REGISTRY_DATA="$WORK/registry" \
    BPFPKG_REGISTRY="$HOST" BPFPKG_PASSWORD="$BPFPKG_PASSWORD" XDG_CONFIG_HOME="$XDG_CONFIG_HOME" \
    XDG_CACHE_HOME="$XDG_CACHE_HOME" DOCKER_CONFIG="$DOCKER_CONFIG" CARGO_TARGET_DIR="$TARGET" TERM="${TERM:-dumb}" \
    unshare --mount --propagation private bash "$TOP/.ci/demo.sh" || failures=1
  if [ -n "${KEEP:-}" ]; then
    note ""; note "the registry is still running: http://$HOST/"
    note "end it with: kill $REGISTRY_PID && rm -rf $WORK"
    disown "$REGISTRY_PID"
  fi
  [ "$failures" = 0 ]
  exit
fi

mapfile -t rows < "$WORK/rows"
DAEMON_PID=
trap 'code=$?; stop "${PING_PID:-}"; stop "$DAEMON_PID"; stop "${MIRROR_PID:-}"; ip netns delete demo-node 2>/dev/null; ip netns delete demo-peer 2>/dev/null; exit $code' EXIT
mkdir -p "$WORK/bpf" "$WORK/state" /run/netns
mount -t bpf bpf "$WORK/bpf"
mount -t tmpfs tmpfs /run/netns
mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
l3afd-lite() { "$BIN/l3afd-lite" --config "$WORK/node.toml" "$@"; }
in_peer() { nsenter --net=/run/netns/demo-peer "$@"; }

title "5. A node with two network namespaces and a veth pair"
ip netns add demo-node; ip netns add demo-peer
# Without IPv6 the kernel sends nothing by itself, and packets can be counted exactly.
for netns in demo-node demo-peer; do nsenter --net=/run/netns/$netns sysctl -qw net.ipv6.conf.default.disable_ipv6=1; done
ip link add veth-node netns demo-node type veth peer name veth-peer netns demo-peer
ip -n demo-node addr add 10.99.0.1/24 dev veth-node; ip -n demo-node link set veth-node up; ip -n demo-node link set lo up
ip -n demo-peer addr add 10.99.0.2/24 dev veth-peer; ip -n demo-peer link set veth-peer up; ip -n demo-peer link set lo up
METRICS=127.0.0.1:$(($RANDOM % 20000 + 20000))
cat > "$WORK/base.toml" <<TOML
state_dir = "$WORK/state"
bpffs = "$WORK/bpf"
[api]
socket = "$WORK/node.sock"
[metrics]
listen = "$METRICS"
[trust]
file = "$XDG_CONFIG_HOME/bpfpkg/trust.toml"
TOML
cp "$WORK/base.toml" "$WORK/node.toml"
note "demo-node (10.99.0.1, veth-node) and demo-peer (10.99.0.2, veth-peer)"

title "6. A newcomer's three commands, from nothing to the kernel"
start=$(date +%s%N)
show bpfpkg search packet
show bpfpkg trust add netops --yes
show l3afd-lite apply --netns demo-node --interface veth-node --hook xdp netops/packet-count:1.0.0
seconds=$((($(date +%s%N) - start) / 1000000000))
holds "three commands put a package on an interface in under a minute" "$seconds s" test "$seconds" -lt 60
show l3afd-lite chain show
holds "the program is in the kernel" "XDP on veth-node" \
  bash -c "ip -n demo-node -d link show veth-node | grep -q 'prog/xdp'"

title "7. A chain of two XDP programs and one TC program, from a file"
cat "$WORK/base.toml" - > "$WORK/node.toml" <<TOML
[[chain]]
netns = "demo-node"
interface = "veth-node"
hook = "xdp"
[[chain.program]]
package = "$HOST/netops/packet-count:1.0.0"
[[chain.program]]
package = "$HOST/netops/ratelimiting:1.0.0"
[chain.program.parameters]
ports = [8080]
rate = 5
[[chain]]
netns = "demo-node"
interface = "veth-node"
hook = "tc-egress"
[[chain.program]]
package = "$HOST/netops/packet-count:1.0.0"
[[probe]]
package = "$HOST/netops/exec-trace:1.0.0"
TOML
sed -n '/chain/,$p' "$WORK/node.toml" | sed 's/^/   | /'
start_daemon() { # not through the function above: its process id would be a shell's
  "$BIN/l3afd-lite" --config "$WORK/node.toml" run >> "$WORK/daemon.log" 2>&1 & DAEMON_PID=$!
}
start_daemon
ready() { # every chain and probe of the file runs, and the daemon answers
  curl -fsS "http://$METRICS/metrics" && l3afd-lite status --output json |
    jq -e --argjson wanted "$(grep -cE '^\[\[(chain|probe)\]\]' "$WORK/node.toml")" \
      '[(.chains, .probes)[].state] | length == $wanted and all(. == "running")'
}
wait_for 30 ready || { cat "$WORK/daemon.log"; l3afd-lite status; die "the daemon did not bring its chains up"; }
show l3afd-lite chain show

title "8. Traffic: the counters are right"
in_peer ping -q -c 1000 -i 0.002 10.99.0.1 | sed -n '4p' | sed 's/^/   /'
icmp=$(curl -fsS "http://$METRICS/metrics" | grep '^netops_packet_count_packets_total{' | grep 'protocol="icmp"')
sed 's/^/   /' <<< "$icmp"
in_icmp=$(grep 'hook="xdp"' <<< "$icmp" | awk '{print $NF}'); out_icmp=$(grep 'hook="tc-egress"' <<< "$icmp" | awk '{print $NF}')
holds "1000 pings are 1000 packets in and 1000 out" "in $in_icmp, out $out_icmp" test "$in_icmp/$out_icmp" = 1000/1000
execs=$(metric netops_exec_trace_execs_total); for _ in 1 2 3 4 5; do /bin/true; done
execs=$(($(metric netops_exec_trace_execs_total) - execs))
holds "the tracepoint counts programs that start" "$execs seen" test "$execs" -ge 5

title "9. The rate limit drops what is above it"
drops=$(metric netops_ratelimiting_drops_total)
for _ in $(seq 40); do in_peer timeout 0.05 bash -c 'exec 3<>/dev/tcp/10.99.0.1/8080' 2>/dev/null || true; done
drops=$(($(metric netops_ratelimiting_drops_total) - drops))
holds "of 40 connections, those above 5 per second are dropped" "$drops dropped" test "$drops" -ge 10

title "10. The order changes under traffic, nothing is lost"
in_peer ping -q -f -c 60000 10.99.0.1 > "$WORK/ping.log" 2>&1 & PING_PID=$!
swap() { # writes the chain in the other order
  local first=$1 second=$2
  cat "$WORK/base.toml" - > "$WORK/node.toml" <<TOML
[[chain]]
netns = "demo-node"
interface = "veth-node"
hook = "xdp"
[[chain.program]]
package = "$HOST/netops/$first:1.0.0"
[[chain.program]]
package = "$HOST/netops/$second:1.0.0"
TOML
}
changes=0
while kill -0 "$PING_PID" 2>/dev/null; do
  swap ratelimiting packet-count; l3afd-lite apply > /dev/null
  swap packet-count ratelimiting; l3afd-lite apply > /dev/null
  changes=$((changes + 2))
done
lost=$(sed -nE 's/.*, ([0-9.]+)% packet loss.*/\1/p' "$WORK/ping.log"); sed -n '4p' "$WORK/ping.log" | sed 's/^/   /'
holds "$changes changes of order lose no packet" "$lost% lost" test "$lost" = 0

title "11. What is not trusted is not loaded"
refused() { # refused REFERENCE REASON: apply must fail with this reason and change nothing
  local reference=$1 reason=$2 before after code=0
  before=$(l3afd-lite status --output json | jq -S '[.. | .program_id? // empty]')
  cp "$WORK/node.toml" "$WORK/good.toml"
  printf '[[chain.program]]\npackage = "%s"\n' "$reference" >> "$WORK/node.toml"
  note "\$ l3afd-lite apply   # with $reference"
  l3afd-lite apply > "$WORK/refused.log" 2>&1 || code=$?
  sed 's/^/   /' "$WORK/refused.log"
  after=$(l3afd-lite status --output json | jq -S '[.. | .program_id? // empty]')
  cp "$WORK/good.toml" "$WORK/node.toml"; l3afd-lite apply > /dev/null 2>&1 || true
  [ "$code" != 0 ] && grep -qi "$reason" "$WORK/refused.log" && [ "$before" = "$after" ]
}
variant() { # variant NAME: packet-count under another name
  mkdir "$WORK/$1"; cp "$WORK/packet-count/"* "$WORK/$1/"
  sed -i "s#netops/packet-count#netops/$1#; s#packet-count.bpf.o#$1.bpf.o#" "$WORK/$1/package.toml"
  mv "$WORK/$1/packet-count.bpf.c" "$WORK/$1/$1.bpf.c"; rm -f "$WORK/$1/"*.bpf.o
}
variant unsigned; bpfpkg push --no-sign "$WORK/unsigned" > /dev/null 2>&1
bpfpkg keygen --output "$WORK/strange-key" > /dev/null 2>&1
variant stranger; bpfpkg push --key "$WORK/strange-key.key" "$WORK/stranger" > /dev/null 2>&1
object=$(bpfpkg info netops/packet-count:1.0.0 --output json | jq -r '.profiles[0].object')
python3 "$TOP/.ci/flip.py" "$HOST" "$object" > "$WORK/mirror" & MIRROR_PID=$!
wait_for 10 grep -q : "$WORK/mirror"; MIRROR=$(cat "$WORK/mirror")
bpfpkg trust add "$MIRROR/netops" --yes > /dev/null 2>&1
holds "an unsigned package is refused" "nothing loaded" refused "$HOST/netops/unsigned:1.0.0" "is unsigned"
holds "a package signed by another key is refused" "nothing loaded" refused "$HOST/netops/stranger:1.0.0" "not by a key trusted"
holds "one flipped bit on the way, by a hostile mirror, is refused" "nothing loaded" \
  refused "$MIRROR/netops/packet-count:1.0.0" "changed or damaged"

title "12. The daemon is killed; the chain does not notice"
ids() { l3afd-lite chain show --output json | jq -cS '[.. | .program_id? // empty]'; }
before=$(ids)
in_peer ping -q -f -c 200000 10.99.0.1 > "$WORK/ping.log" 2>&1 & PING_PID=$!
sleep 0.3; kill -9 "$DAEMON_PID"; wait "$DAEMON_PID" 2>/dev/null || true
holds "the daemon is gone" "killed with SIGKILL" bash -c "! curl -fsS http://$METRICS/metrics > /dev/null 2>&1"
sleep 0.3; start_daemon
wait_for 30 ready || die "the daemon did not come back"
after=$(ids)
wait "$PING_PID" || true
lost=$(sed -nE 's/.*, ([0-9.]+)% packet loss.*/\1/p' "$WORK/ping.log")
holds "SIGKILL and restart lose no packet" "$lost% lost" test "$lost" = 0
holds "the same programs run on" "ids $after" test "$before/$(jq -n "$after | length > 0")" = "$after/true"

title "Summary"
printf '%s\n' "${rows[@]}" | awk -F' *[|] ' '{ printf "   %-6s | %-64s | %s\n", $1, $2, $3 }'
printf '\n   %d of %d held\n' "$((${#rows[@]} - failures))" "${#rows[@]}"
[ "$failures" = 0 ]
