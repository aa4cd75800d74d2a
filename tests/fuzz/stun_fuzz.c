// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer on STUN messages, compiled for the host (`make fuzz-stun`). What is
 * said of a message must lie within it, and be the same whatever follows it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "bpf/stun.h"

static void lies_within(const struct stun_span *span, size_t size)
{
	if (span->at > size || span->length > size - span->at)
		abort();
}

static void check_address(const struct stun_address *a)
{
	const uint8_t *byte = (const uint8_t *)a->address;

	if (a->family != AF_INET && a->family != AF_INET6)
		abort();
	for (int i = 4; a->family == AF_INET && i < 16; i++)
		if (byte[i])
			abort();
}

static void check(const struct stun *m, size_t size)
{
	lies_within(&m->user, size);
	lies_within(&m->realm, size);
	if (m->peers > STUN_PEERS || (!m->peers && m->seen & STUN_SEEN_PEER))
		abort();
	for (int i = 0; i < m->peers; i++)
		check_address(&m->peer[i]);
	if (m->seen & STUN_SEEN_RELAYED_V4 && !m->odd)
		check_address(&m->relayed[0]);
	if (m->seen & STUN_SEEN_RELAYED_V6 && !m->odd)
		check_address(&m->relayed[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stun_source source = {.at = data, .size = size};
	uint8_t longer[2048];
	struct stun one, other;

	if (size + 64 > sizeof(longer))
		return 0;
	if (!stun_parse(&source, &one))
		return 0;
	check(&one, size);
	memset(longer, 0x55, sizeof(longer));
	memcpy(longer, data, size);
	source.at = longer;
	if (!stun_parse(&source, &other) || memcmp(&one, &other, sizeof(one)))
		abort();
	source.size = size + 4; /* more than the message says it has */
	if (stun_parse(&source, &other))
		abort();
	return 0;
}
