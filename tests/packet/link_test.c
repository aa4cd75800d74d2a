// SPDX-License-Identifier: GPL-2.0-only
/*
 * The other programs that decide as the one at XDP does: at TC, and of frames in
 * several buffers, which say what that one says, byte for byte; and VLAN tags,
 * which come off and go on around it.
 */
#include <errno.h>
#include <linux/pkt_cls.h>
#include "tests/packet/expect.h"
#include "bpf/fastpath_frags.skel.h"
#include "bpf/fastpath_tc.skel.h"

#define VLAN_IFINDEX 77
#define TAG_BYTES    4

static struct engine engine;

static int setup(void **state)
{
	(void)state;
	if (engine_load(&engine, 64) || engine_need_tc(&engine) || engine_add_device(&engine, 0, 1))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	engine_free(&engine);
	return 0;
}

/* Every test begins with the same live binding, of IPv4 at both ends. */
static int rebind(void **state)
{
	(void)state;
	frame_hosts = frame_families;
	return frame_bind(&engine);
}

static void bind_family(int family)
{
	frame_hosts = frame_families + family;
	assert_int_equal(frame_bind(&engine), 0);
}

/* The verdict of any program, and what came out. */
static int run(const struct bpf_program *program, const struct frame *in, struct frame *out)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->byte, .data_size_in = in->length,
		    .data_out = out->byte, .data_size_out = sizeof(out->byte), .repeat = 1);
	int err;

	memset(out, 0, sizeof(*out));
	err = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);
	out->length = opts.data_size_out;
	return err ? err : (int)opts.retval;
}

static int run_tc(const struct frame *in, struct frame *out)
{
	return run(engine.tc->progs.turnpike_tc, in, out);
}

/* To the machine itself: loopback, by which test runs come in, has the address 0. */
static void to_us(struct frame *frame)
{
	memset(frame->byte, 0, 6);
}

static void assert_same(const struct frame *one, const struct frame *other)
{
	assert_int_equal(one->length, other->length);
	assert_memory_equal(one->byte, other->byte, one->length);
}

/* One checksum in 65,536 looks unfinished: XDP can't tell, TC can. */
static int looks_begun(const struct frame *frame)
{
	const uint8_t *ip = frame->byte + 14, *udp = frame_udp(ip);
	uint32_t length = get16(udp + 4);

	return get16(udp + 6) == (frame_is_v6(ip) ? frame_sum(ip + 8, 32, 17 + length)
						  : frame_sum(ip + 12, 8, 17 + length));
}

static int tags_of(const struct tp_vlan *vlan)
{
	return vlan->tag[1].proto ? 2 : 1;
}

/* From IPv6 to IPv4 the identification is a new one each time. */
static void forget_identification(struct frame *frame, int tags)
{
	uint8_t *ip = frame->byte + 14 + tags * TAG_BYTES;

	if (frame_is_v6(ip))
		return;
	put16(ip + 4, 0);
	put16(ip + 10, 0);
}

/* Mostly as it should be; sometimes with what makes it pass. */
static void random_frame(struct frame *frame, int direction)
{
	uint8_t payload[1400];
	uint16_t length = rand() % sizeof(payload);

	for (size_t i = 0; i < length; i++)
		payload[i] = rand();
	if (direction == TP_UP)
		frame_up_channel(frame, payload, length, length ? rand() % 5 : 0);
	else
		frame_down(frame, payload, length);
	if (rand() % 4 == 0)
		frame->length += rand() % 20; /* Ethernet padding */
	if (rand() % 16 == 0)
		frame->byte[14 + rand() % 60] ^= 1 << rand() % 8;
	to_us(frame);
}

/* What PROGRAM makes of FRAME is what the one at XDP does; FORWARDED and PASSED are its verdicts.
 */
static int assert_as_xdp(const struct bpf_program *program, const struct frame *frame,
			 int forwarded, int passed)
{
	struct frame by_xdp, by_other;
	int verdict = frame_run(&engine, frame, &by_xdp), other = run(program, frame, &by_other);

	assert_int_equal(other, verdict == XDP_PASS ? passed : forwarded);
	if (verdict == XDP_PASS)
		assert_same(&by_other, frame);
	forget_identification(&by_xdp, 0);
	forget_identification(&by_other, 0);
	assert_same(&by_other, &by_xdp);
	return verdict != XDP_PASS;
}

static void same_in_all_families(const struct bpf_program *program, int forwarded, int passed)
{
	int count = 0;

	for (int family = 0; family < FRAME_FAMILIES; family++) {
		bind_family(family);
		for (int i = 0; i < 4000; i++) {
			struct frame frame;

			random_frame(&frame, i % 2);
			if (!looks_begun(&frame))
				count += assert_as_xdp(program, &frame, forwarded, passed);
		}
	}
	assert_true(count > FRAME_FAMILIES * 2000);
}

static void tc_as_xdp(void **state)
{
	(void)state;
	same_in_all_families(engine.tc->progs.turnpike_tc, TC_ACT_REDIRECT, TC_ACT_UNSPEC);
}

static void frags_as_xdp(void **state)
{
	(void)state;
	if (engine_need_frags(&engine))
		skip(); /* before Linux 5.18 */
	assert_int_equal(engine_add_device(&engine, 0, 1), 0);
	same_in_all_families(engine.frags->progs.turnpike_xdp_frags, XDP_TX, XDP_PASS);
}

/* Golden: ChannelData of "hello" with three bytes of padding, in and out, byte for byte. */
static void tc_golden_upstream(void **state)
{
	static const uint8_t in[] = {
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08, 0x00,
		0x45, 0x22, 0x00, 0x28, 0x12, 0x34, 0x40, 0x00, 0x2f, 0x11, 0x25, 0x6d, 10,   0,
		0,    2,    10,	  0,	0,    1,    0x9c, 0x40, 0x0d, 0x96, 0x00, 0x14, 0xbe, 0x14,
		0x40, 0x01, 0x00, 0x05, 'h',  'e',  'l',  'l',	'o',  0,    0,	  0,
	};
	static const uint8_t out[] = {
		0x02, 0x00, 0x00, 0x00, 0x00, 0x04, 0x02, 0x00, 0x00, 0x00, 0x00, 0x03,
		0x08, 0x00, 0x45, 0x22, 0x00, 0x21, 0x12, 0x34, 0x40, 0x00, 0x2e, 0x11,
		0x24, 0x74, 10,	  0,	1,    1,    10,	  0,	1,    2,    0xc3, 0x50,
		0x13, 0x88, 0x00, 0x0d, 0xcf, 0x26, 'h',  'e',	'l',  'l',  'o',
	};
	struct frame frame = {.length = sizeof(in)}, result;

	(void)state;
	memcpy(frame.byte, in, sizeof(in));
	assert_int_equal(run_tc(&frame, &result), TC_ACT_REDIRECT);
	assert_int_equal(result.length, sizeof(out));
	assert_memory_equal(result.byte, out, sizeof(out));
}

/* What the bytes alone don't say: TC relays it, for it is whole. */
static void tc_knows_whole_checksums(void **state)
{
	struct frame frame, result;

	(void)state;
	for (int i = 0; i < 65536; i++) {
		uint8_t payload[2];

		put16(payload, i);
		frame_down(&frame, payload, sizeof(payload));
		to_us(&frame);
		if (!looks_begun(&frame))
			continue;
		assert_int_equal(frame_run(&engine, &frame, &result), XDP_PASS);
		assert_int_equal(run_tc(&frame, &result), TC_ACT_REDIRECT);
		assert_int_equal(get16(result.byte + 40), frame_udp_check(result.byte + 14));
		return;
	}
	fail();
}

/* To somebody else, as a bridge or a switch may flood it: not ours. */
static void tc_leaves_others_packets(void **state)
{
	struct frame frame, result;

	(void)state;
	frame_down(&frame, "x", 1);
	assert_int_equal(run_tc(&frame, &result), TC_ACT_UNSPEC);
	assert_same(&result, &frame);
}

/* Cut at every byte of every header: as it is. */
static void tc_truncated(void **state)
{
	struct frame frame, cut, result;

	(void)state;
	for (int i = 0; i < 2 * FRAME_FAMILIES; i++) {
		bind_family(i / 2);
		if (i % 2)
			frame_up_channel(&frame, "0123456789", 10, 2);
		else
			frame_down(&frame, "0123456789", 10);
		to_us(&frame);
		for (cut = frame, cut.length = 14; cut.length < frame.length; cut.length++) {
			int verdict = run_tc(&cut, &result);

			/* The kernel's test runs refuse an IP header that isn't whole. */
			if (verdict == -EINVAL && cut.length < frame_udp(cut.byte + 14) - cut.byte)
				continue;
			assert_int_equal(verdict, TC_ACT_UNSPEC);
			assert_same(&result, &cut);
		}
		assert_int_equal(run_tc(&frame, &result), TC_ACT_REDIRECT);
	}
}

/* ---- VLANs */

static const struct tp_vlan single = {1, {{0x0081, 0x0500}, {0, 0}}};	       /* 802.1Q, 5 */
static const struct tp_vlan twice = {1, {{0xa888, 0x0600}, {0x0081, 0x0700}}}; /* 802.1ad, 6; 7 */

/* A device of that VLAN, over the interface that frames come in by. */
static void add_vlan(const struct tp_vlan *vlan)
{
	const struct fastpath_bpf *fastpath = engine.fastpath;
	uint32_t ifindex = VLAN_IFINDEX;

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(fastpath->maps.vlans), vlan, &ifindex, BPF_ANY), 0);
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(fastpath->maps.vlan_of), &ifindex, vlan, BPF_ANY),
		0);
}

static int forget_vlans(void **state)
{
	const struct fastpath_bpf *fastpath = engine.fastpath;
	uint32_t ifindex = VLAN_IFINDEX;

	bpf_map_delete_elem(bpf_map__fd(fastpath->maps.vlans), &single);
	bpf_map_delete_elem(bpf_map__fd(fastpath->maps.vlans), &twice);
	bpf_map_delete_elem(bpf_map__fd(fastpath->maps.vlan_of), &ifindex);
	return rebind(state);
}

/* Puts tags in, with PRIORITY in their upper bits. */
static void tag_frame(struct frame *frame, const struct tp_vlan *vlan, uint16_t priority)
{
	int bytes = tags_of(vlan) * TAG_BYTES;

	memmove(frame->byte + 12 + bytes, frame->byte + 12, frame->length - 12);
	for (int i = 0; i < tags_of(vlan); i++) {
		memcpy(frame->byte + 12 + i * TAG_BYTES, &vlan->tag[i], TAG_BYTES);
		frame->byte[14 + i * TAG_BYTES] |= priority << 4;
	}
	frame->length += bytes;
}

/* Both directions leave by the VLAN device. */
static void leave_tagged(void)
{
	for (int direction = 0; direction < TP_DIRECTIONS; direction++) {
		struct tp_hop *hop = frame_hop(&engine, FRAME_SLOT, direction);

		hop->ifindex = VLAN_IFINDEX;
		hop->device = TP_HOP_TAGGED;
	}
}

/* With and without tags on either side, the packet behind them is the same. */
static void check_vlan(const struct tp_vlan *in, const struct tp_vlan *out)
{
	for (int i = 0; i < 500; i++) {
		struct frame frame, plain, result;
		int verdict;

		random_frame(&frame, i % 2);
		verdict = frame_run(&engine, &frame, &plain);
		if (in)
			tag_frame(&frame, in, rand() % 16);
		if (out)
			leave_tagged();
		assert_int_equal(frame_run(&engine, &frame, &result), verdict);
		if (verdict == XDP_PASS)
			assert_same(&result, &frame);
		else if (out)
			tag_frame(&plain, out, 0);
		frame_bind(&engine);
		if (verdict == XDP_PASS)
			continue;
		forget_identification(&plain, out ? tags_of(out) : 0);
		forget_identification(&result, out ? tags_of(out) : 0);
		assert_same(&result, &plain);
	}
}

static void vlan_in_and_out(void **state)
{
	static const struct tp_vlan *const vlans[] = {&single, &twice};

	(void)state;
	for (int family = 0; family < FRAME_FAMILIES; family++) {
		bind_family(family);
		for (int i = 0; i < 2; i++) {
			add_vlan(vlans[i]);
			check_vlan(vlans[i], NULL);
			check_vlan(NULL, vlans[i]);
			check_vlan(vlans[i], vlans[i]);
		}
	}
}

/* Golden: downstream, in with one tag of priority 3, out with two. */
static void vlan_golden(void **state)
{
	static const uint8_t in[] = {
		0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x81,
		0x00, 0x60, 0x05, 0x08, 0x00, 0x45, 0x22, 0x00, 0x21, 0x12, 0x34, 0x00, 0x00,
		0x2f, 0x11, 0x63, 0x74, 10,   0,    1,	  2,	10,   0,    1,	  1,	0x13,
		0x88, 0xc3, 0x50, 0x00, 0x0d, 0xcf, 0x26, 'h',	'e',  'l',  'l',  'o',
	};
	static const uint8_t out[] = {
		0x02, 0x00, 0x00, 0x00, 0x01, 0x04, 0x02, 0x00, 0x00, 0x00, 0x01, 0x03,
		0x88, 0xa8, 0x00, 0x06, 0x81, 0x00, 0x00, 0x07, 0x08, 0x00, 0x45, 0x22,
		0x00, 0x25, 0x12, 0x34, 0x40, 0x00, 0x40, 0x11, 0x14, 0x70, 10,	  0,
		0,    1,    10,	  0,	0,    2,    0x0d, 0x96, 0x9c, 0x40, 0x00, 0x11,
		0xbe, 0x1a, 0x40, 0x01, 0x00, 0x05, 'h',  'e',	'l',  'l',  'o',
	};
	struct frame frame = {.length = sizeof(in)}, result;

	(void)state;
	add_vlan(&single);
	add_vlan(&twice); /* the way out */
	leave_tagged();
	memcpy(frame.byte, in, sizeof(in));
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
	assert_int_equal(result.length, sizeof(out));
	assert_memory_equal(result.byte, out, sizeof(out));
}

/* By another interface: what the VLAN device is on, which is what redirects know. */
static void vlan_redirect(void **state)
{
	struct frame frame, result;

	(void)state;
	add_vlan(&single);
	assert_int_equal(engine_add_device(&engine, 1, 2), 0);
	leave_tagged();
	frame_hop(&engine, FRAME_SLOT, TP_DOWN)->device |= 1;
	frame_down(&frame, "x", 1);
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_REDIRECT);
	frame_hop(&engine, FRAME_SLOT, TP_DOWN)->device |= TP_HOP_NO_TRANSMIT;
	expect_passed(&engine, &frame, TP_PASSED_EGRESS);
}

/* No device here has that VLAN: the kernel would drop it, so it isn't relayed either. */
static void vlan_unknown(void **state)
{
	struct tp_vlan other = single;
	struct frame frame, result;

	(void)state;
	add_vlan(&single);
	other.tag[0].tci = htons(6);
	frame_down(&frame, "x", 1);
	tag_frame(&frame, &other, 0);
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_PASS);
	assert_same(&result, &frame);
	frame_down(&frame, "x", 1);
	tag_frame(&frame, &twice, 0);
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_PASS);
	assert_same(&result, &frame);
}

/* A third tag, and what passes for other reasons, with its tags as they were. */
static void vlan_passes_as_it_came(void **state)
{
	static const uint8_t request[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
	struct frame frame;
	struct frame result;

	(void)state;
	add_vlan(&single);
	add_vlan(&twice);
	frame_up(&frame, request, sizeof(request));
	tag_frame(&frame, &twice, 5);
	expect_passed(&engine, &frame, TP_PASSED_CONTROL);
	frame_down(&frame, "x", 1);
	frame.byte[22] = 1;
	frame_checksums(&frame);
	tag_frame(&frame, &single, 0);
	expect_passed(&engine, &frame, TP_PASSED_TTL);
	frame_down(&frame, "x", 1);
	tag_frame(&frame, &single, 0);
	tag_frame(&frame, &twice, 0);
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_PASS);
	assert_same(&result, &frame);
}

static void vlan_truncated(void **state)
{
	static const struct tp_vlan *const vlans[] = {&single, &twice};
	struct frame frame, cut, result;

	(void)state;
	for (int i = 0; i < 4 * FRAME_FAMILIES; i++) {
		bind_family(i / 4);
		add_vlan(vlans[i / 2 % 2]);
		if (i % 2)
			frame_up_channel(&frame, "0123456789", 10, 2);
		else
			frame_down(&frame, "0123456789", 10);
		tag_frame(&frame, vlans[i / 2 % 2], 0);
		for (cut = frame, cut.length = 14; cut.length < frame.length; cut.length++) {
			assert_int_equal(frame_run(&engine, &cut, &result), XDP_PASS);
			assert_same(&result, &cut);
		}
		assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
	}
}

/* ---- what XDP can't do */

/* A way out that drops redirected frames: they aren't sent there, unless they came from there. */
static void no_transmit(void **state)
{
	struct frame frame, result;

	(void)state;
	assert_int_equal(engine_add_device(&engine, 1, 2), 0);
	frame_hop(&engine, FRAME_SLOT, TP_DOWN)->device = TP_HOP_NO_TRANSMIT;
	frame_down(&frame, "x", 1);
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
	frame_hop(&engine, FRAME_SLOT, TP_DOWN)->device = TP_HOP_NO_TRANSMIT | TP_HOP_REDIRECT;
	expect_passed(&engine, &frame, TP_PASSED_EGRESS);
	frame_hop(&engine, FRAME_SLOT, TP_DOWN)->device = TP_HOP_NO_TRANSMIT | 1;
	frame_hop(&engine, FRAME_SLOT, TP_DOWN)->ifindex = 2;
	expect_passed(&engine, &frame, TP_PASSED_EGRESS);
	to_us(&frame);
	assert_int_equal(run_tc(&frame, &result), TC_ACT_REDIRECT); /* TC can */
}

/* Runs with METADATA bytes of it before the frame, which leaves that much less room. */
static int run_with_metadata(const struct frame *frame, uint32_t metadata, struct frame *result)
{
	struct xdp_md context = {.data = metadata, .data_end = metadata + frame->length};
	uint8_t in[sizeof(frame->byte) + 256] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = context.data_end,
		    .data_out = result->byte, .data_size_out = sizeof(result->byte),
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1);
	int err;

	memcpy(in + metadata, frame->byte, frame->length);
	err = bpf_prog_test_run_opts(bpf_program__fd(engine.fastpath->progs.turnpike_xdp), &opts);
	result->length = opts.data_size_out;
	return err ? err : (int)opts.retval;
}

/* As little room before a frame as some drivers leave: it passes as it is, and that is told. */
static void no_headroom(void **state)
{
	uint32_t loopback = 1, metadata = 256;
	struct tp_device before, after;
	struct frame frame, result;
	int map = bpf_map__fd(engine.fastpath->maps.device_of), verdict;
	uint64_t passed = expect_counter(&engine, TP_PASSED_HEADROOM);

	(void)state;
	assert_int_equal(bpf_map_lookup_elem(map, &loopback, &before), 0);
	frame_down(&frame, "0123456789", 10);
	do
		verdict = run_with_metadata(&frame, metadata -= 4, &result);
	while (verdict < 0 && metadata);
	if (verdict == XDP_TX)
		skip(); /* older kernels allow but 32 bytes of it */
	assert_int_equal(verdict, XDP_PASS);
	assert_memory_equal(result.byte + result.length - frame.length, frame.byte, frame.length);
	assert_int_equal(expect_counter(&engine, TP_PASSED_HEADROOM), passed + 1);
	assert_int_equal(bpf_map_lookup_elem(map, &loopback, &after), 0);
	assert_int_equal(after.trouble[TP_TROUBLE_HEADROOM],
			 before.trouble[TP_TROUBLE_HEADROOM] + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tc_as_xdp, rebind),
		cmocka_unit_test_setup(frags_as_xdp, rebind),
		cmocka_unit_test_setup(tc_golden_upstream, rebind),
		cmocka_unit_test_setup(tc_knows_whole_checksums, rebind),
		cmocka_unit_test_setup(tc_leaves_others_packets, rebind),
		cmocka_unit_test_setup(tc_truncated, rebind),
		cmocka_unit_test_setup(vlan_in_and_out, forget_vlans),
		cmocka_unit_test_setup(vlan_golden, forget_vlans),
		cmocka_unit_test_setup(vlan_redirect, forget_vlans),
		cmocka_unit_test_setup(vlan_unknown, forget_vlans),
		cmocka_unit_test_setup(vlan_passes_as_it_came, forget_vlans),
		cmocka_unit_test_setup(vlan_truncated, forget_vlans),
		cmocka_unit_test_setup(no_transmit, rebind),
		cmocka_unit_test_setup(no_headroom, rebind),
	};

	srand(1);
	return cmocka_run_group_tests(tests, setup, teardown);
}
