/* SPDX-License-Identifier: GPL-2.0-only */
/* An IP address of either family. */
#ifndef TURNPIKE_SRC_ADDRESS_H
#define TURNPIKE_SRC_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct address {
	uint8_t family;	  /* AF_INET, AF_INET6; 0: none */
	uint8_t byte[16]; /* network order; IPv4 in the first four, the rest zero */
};

static inline size_t address_length(uint8_t family)
{
	return family == AF_INET6 ? 16 : 4;
}

/* BYTES: as many as the family's addresses have. */
static inline struct address address_of(uint8_t family, const void *bytes)
{
	struct address address = {.family = family};

	memcpy(address.byte, bytes, address_length(family));
	return address;
}

static inline bool address_equal(const struct address *one, const struct address *other)
{
	return one->family == other->family && !memcmp(one->byte, other->byte, sizeof(one->byte));
}

static inline bool address_is_any(const struct address *address)
{
	static const uint8_t any[16];

	return !memcmp(address->byte, any, sizeof(any));
}

static inline bool address_is_multicast(const struct address *address)
{
	return address->family == AF_INET6 ? address->byte[0] == 0xff
					   : (address->byte[0] & 0xf0) == 0xe0;
}

#endif
