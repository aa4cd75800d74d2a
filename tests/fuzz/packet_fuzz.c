// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer on the fast path's decisions, compiled for the host (`make fuzz`).
 * An input is a frame as it comes, or changes to a good datagram.
 */
#include "tests/packet/frame.h"
#include "tests/packet/host.h"

struct input {
	uint8_t families, kind;
	struct {
		uint8_t at, change;
	} edit[4];
	/* then a frame, or a payload */
};

enum { MAKE_RIGHT = 1, MADE = 2, UPWARDS = 4, PADDED = 8 };

/* Has the datagram, as its length field says, an end within the frame? */
static int has_end(const struct frame *frame)
{
	const uint8_t *udp = frame_udp(frame->byte + 14), *end = frame->byte + frame->length;

	return udp + 8 <= end && get16(udp + 4) >= 8 && udp + get16(udp + 4) <= end;
}

static int is_right(const uint8_t *frame)
{
	const uint8_t *ip = frame + 14;

	return get16(frame_udp(ip) + 6) == frame_udp_check(ip);
}

static void make(struct frame *frame, const struct input *input, const uint8_t *data, size_t size)
{
	memset(frame, 0, sizeof(*frame));
	if (!(input->kind & MADE)) {
		memcpy(frame->byte, data, size);
		frame->length = size;
	} else if (input->kind & UPWARDS) {
		frame_up_channel(frame, data, size, input->kind & PADDED ? -size & 3 : 0);
	} else {
		frame_down(frame, data, size);
	}
	for (int i = 0; i < 4 && frame->length; i++)
		frame->byte[input->edit[i].at % frame->length] ^= input->edit[i].change;
	if (input->kind & MAKE_RIGHT && has_end(frame))
		frame_checksums(frame);
}

/* What is relayed is whole, and neither better nor worse than what came. */
static void check(const struct host_frame *out, int was_right)
{
	const uint8_t *udp = frame_udp(out->data + 14);

	if (udp + get16(udp + 4) != out->end || is_right(out->data) != was_right)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_frame host;
	struct frame_bound b;
	struct frame frame;
	struct input input;
	int was_right;

	if (size < sizeof(input) || size > FRAME_LARGEST - 100)
		return 0;
	memcpy(&input, data, sizeof(input));
	frame_hosts = &frame_families[input.families % FRAME_FAMILIES];
	frame_binding(&b);
	make(&frame, &input, data + sizeof(input), size - sizeof(input));
	was_right = has_end(&frame) && is_right(frame.byte);
	host_load(&host, frame.byte, frame.length);
	if (host_run(&host, &b) == XDP_TX)
		check(&host, was_right);
	return 0;
}
