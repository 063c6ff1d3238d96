/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef PACKET_COUNT_H
#define PACKET_COUNT_H

#include "types.h"

/* Keys of packet_counts. Each packet counts once in 0–3, and each IP packet once more in 4–7. */
enum kind {
	KIND_IPV4,
	KIND_IPV6,
	KIND_ARP,
	KIND_OTHER, /* no IP and no ARP, or too short to tell */
	KIND_TCP,
	KIND_UDP,
	KIND_ICMP, /* ICMP and ICMPv6 */
	KIND_OTHER_IP, /* any other protocol, or too short to tell */
	KINDS,
};

struct traffic {
	__u64 packets;
	__u64 bytes; /* from the Ethernet header on, without its check sequence */
};

#endif
