#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The first process of the virtual machine: a small network, the registry, the node.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp; mount -t tmpfs tmpfs /run; mkdir -p /run/netns
mount -t bpf bpf /sys/fs/bpf; mount -t tracefs tracefs /sys/kernel/tracing
for module in veth sch_ingress cls_bpf; do [ ! -e /modules/$module.ko ] || insmod /modules/$module.ko; done
echo "kernel $(uname -r)"
# A tracepoint's link can be pinned from Linux 5.15 on; older kernels get no probes.
case $(uname -r) in 5.10.*) sed -i '/^\[\[probe\]\]/,$d' /etc/node.toml ;; esac
failed=0
check() { what=$1; shift; if "$@" > /tmp/check.log 2>&1; then echo "ok      $what"; else echo "FAILED  $what"; cat /tmp/check.log; failed=1; fi; }

ip link set lo up
/bin/ip netns add node; /bin/ip netns add peer
/bin/ip link add veth-node netns node type veth peer name veth-peer netns peer
/bin/ip -n node addr add 10.99.0.1/24 dev veth-node; /bin/ip -n node link set veth-node up
/bin/ip -n peer addr add 10.99.0.2/24 dev veth-peer; /bin/ip -n peer link set veth-peer up
bpfpkg-registry serve --data /registry --listen @HOST@ > /tmp/registry.log 2>&1 &
tries=100; until wget -q -O /dev/null http://@HOST@/readyz || [ $tries = 0 ]; do sleep 0.2; tries=$((tries - 1)); done

check "the node applies XDP, TC in and out, and probes" l3afd-lite --config /etc/node.toml apply
l3afd-lite --config /etc/node.toml run > /tmp/daemon.log 2>&1 &
tries=100; until wget -q -O /dev/null http://127.0.0.1:8898/metrics || [ $tries = 0 ]; do sleep 0.2; tries=$((tries - 1)); done
check "100 pings pass" nsenter --net=/run/netns/peer ping -q -c 100 -i 0.01 10.99.0.1
sleep 2
wget -q -O /tmp/metrics http://127.0.0.1:8898/metrics
count() { grep 'packet_count_packets_total{' /tmp/metrics | grep "hook=\"$1\"" | grep icmp | awk '{ sum += $NF } END { print sum + 0 }'; }
for hook in xdp tc-ingress tc-egress; do
  check "packet-count saw 100 pings at $hook ($(count $hook))" test "$(count $hook)" -ge 100
done
check "the chain is shown" l3afd-lite --config /etc/node.toml chain show
cat /tmp/check.log
check "the daemon answers" l3afd-lite --config /etc/node.toml status
cat /tmp/check.log /tmp/daemon.log
[ $failed = 0 ] && echo "VM: all held"
poweroff -f
