/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A cursor that walks the headers of a packet, outermost first. Each next_…()
 * steps over one layer and says what comes after it, or answers a negative
 * number, and then the packet is left alone: what cannot be read whole must
 * not be judged.
 */
#ifndef PACKAGES_PACKET_H
#define PACKAGES_PACKET_H

#include "types.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_QINQ = 0x88a8,
	ETHERTYPE_OLD_QINQ = 0x9100,
};

enum {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_AUTHENTICATION = 51,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_DESTINATION = 60,
	PROTOCOL_MOBILITY = 135,
	PROTOCOL_HIP = 139,
	PROTOCOL_SHIM6 = 140,
};

enum {
	TRUNCATED = -1,
	MAX_VLAN_TAGS = 4,
	MAX_EXTENSION_HEADERS = 8,
	MAX_PACKET = 65535, /* bytes that an IP header can declare */
	IPV4_MORE_OR_OFFSET = 0x3fff, /* set in fragments only */
	IPV6_MORE_OR_OFFSET = 0xfff9,
	TCP_SYN = 0x02,
	TCP_ACK = 0x10,
};

struct ethernet_header {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
} __attribute__((packed));

struct vlan_tag {
	__be16 tag;
	__be16 type;
};

struct ipv4_header {
	__u8 version_and_words;
	__u8 service;
	__be16 total_length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 destination;
};

struct ipv6_header {
	__u8 version_and_class;
	__u8 class_and_label[3];
	__be16 payload_length;
	__u8 next;
	__u8 hop_limit;
	__u8 source[16];
	__u8 destination[16];
};

/* Extension headers differ, but the first eight bytes of each fit in this. */
struct extension_header {
	__u8 next;
	__u8 length;
	__be16 fragment; /* of a fragment header */
	__u8 rest[4];
};

struct tcp_header {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledgement;
	__u8 words_and_reserved;
	__u8 flags;
	__be16 window;
	__be16 checksum;
	__be16 urgent;
};

struct cursor {
	void *at;
	void *end;     /* of what can be read */
	__s64 left;    /* bytes from `at` to the end of the packet, by its own IP header */
	bool fragment; /* the packet is a piece of a larger one */
};

#define CURSOR(ctx) \
	{ .at = (void *)(long)(ctx)->data, .end = (void *)(long)(ctx)->data_end }

/* Steps over the Ethernet header and its tags; the answer is the EtherType, host order. */
static __always_inline int next_ethertype(struct cursor *c)
{
	struct ethernet_header *ethernet = c->at;
	int type;

	if ((void *)(ethernet + 1) > c->end)
		return TRUNCATED;
	type = bpf_ntohs(ethernet->type);
	c->at = ethernet + 1;
#pragma unroll
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		struct vlan_tag *vlan = c->at;

		if (type != ETHERTYPE_VLAN && type != ETHERTYPE_QINQ && type != ETHERTYPE_OLD_QINQ)
			break;
		if ((void *)(vlan + 1) > c->end)
			return TRUNCATED;
		type = bpf_ntohs(vlan->type);
		c->at = vlan + 1;
	}
	return type;
}

/* Steps over an IPv4 header with its options; the answer is the protocol. */
static __always_inline int next_ipv4(struct cursor *c)
{
	struct ipv4_header *ip = c->at;
	int length;

	if ((void *)(ip + 1) > c->end || ip->version_and_words >> 4 != 4)
		return TRUNCATED;
	length = (ip->version_and_words & 15) * 4;
	if (length < (int)sizeof(*ip))
		return TRUNCATED;
	c->fragment = ip->fragment & bpf_htons(IPV4_MORE_OR_OFFSET);
	c->left = bpf_ntohs(ip->total_length) - length;
	c->at += length;
	return ip->protocol;
}

static __always_inline bool is_extension(int protocol)
{
	switch (protocol) {
	case PROTOCOL_HOP_BY_HOP:
	case PROTOCOL_ROUTING:
	case PROTOCOL_FRAGMENT:
	case PROTOCOL_AUTHENTICATION:
	case PROTOCOL_DESTINATION:
	case PROTOCOL_MOBILITY:
	case PROTOCOL_HIP:
	case PROTOCOL_SHIM6:
		return true;
	default:
		return false;
	}
}

/* Zero if `protocol` is `other`, else all ones. */
static __always_inline __u64 unless(__u64 protocol, __u64 other)
{
	__u64 difference = protocol ^ other;

	barrier_var(difference); /* else clang makes a branch of it */
	return ((difference - 1) >> 63) - 1;
}

/*
 * The length in bytes of an extension header: eight, and as many eights as it says;
 * fours in an authentication header, none in a fragment header. Without branches:
 * the verifier would follow three ways through each of eight headers.
 */
static __always_inline int extension_length(const struct extension_header *extension, int protocol)
{
	__u64 said = extension->length & unless(protocol, PROTOCOL_FRAGMENT);

	return 8 + 4 * said + 4 * (said & unless(protocol, PROTOCOL_AUTHENTICATION));
}

/* Steps over an IPv6 header and its extension headers; the answer is the protocol. */
static __always_inline int next_ipv6(struct cursor *c)
{
	struct ipv6_header *ip = c->at;
	int protocol;

	if ((void *)(ip + 1) > c->end || ip->version_and_class >> 4 != 6)
		return TRUNCATED;
	protocol = ip->next;
	c->left = bpf_ntohs(ip->payload_length);
	c->at = ip + 1;
#pragma unroll
	for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
		struct extension_header *extension = c->at;
		int length;

		if (!is_extension(protocol))
			break;
		if ((void *)(extension + 1) > c->end)
			return TRUNCATED;
		length = extension_length(extension, protocol);
		c->left -= length;
		c->at += length;
		/* A fragment header on a packet in one piece ("atomic") changes nothing. */
		c->fragment = protocol == PROTOCOL_FRAGMENT &&
			      extension->fragment & bpf_htons(IPV6_MORE_OR_OFFSET);
		protocol = extension->next;
		/* What follows in a later fragment is not a header, whatever this one says. */
		if (c->fragment)
			break;
	}
	return protocol;
}

/* The TCP header under the cursor, if it and the whole packet are there; else NULL. */
static __always_inline struct tcp_header *whole_tcp(struct cursor *c)
{
	struct tcp_header *tcp = c->at;
	__u64 left = c->left;

	/* The upper bound always holds; verifiers up to Linux 6.12 must be told. */
	barrier_var(left);
	if (c->fragment || left < sizeof(*tcp) || left > MAX_PACKET)
		return NULL;
	if ((void *)(tcp + 1) > c->end || c->at + left > c->end)
		return NULL;
	return tcp;
}

#endif
