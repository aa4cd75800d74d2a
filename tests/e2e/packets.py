# SPDX-License-Identifier: GPL-2.0-only
"""Frames byte by byte: what a client or peer sends, and what came out, made comparable."""

import socket
import struct

ETH_IP, ETH_IPV6, UDP = 0x0800, 0x86DD, 17


def ones_sum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def pseudo_sum(source, destination, length):
    return ones_sum(source + destination + struct.pack("!HH", UDP, length))


def udp(source, destination, payload, checksum="right"):
    """A UDP datagram; source and destination are (address, port)."""
    length = 8 + len(payload)
    head = struct.pack("!HHHH", source[1], destination[1], length, 0)
    pseudo = pseudo_sum(packed(source[0]), packed(destination[0]), length)
    right = 0xFFFF - ones_sum(struct.pack("!H", pseudo) + head + payload) or 0xFFFF
    check = {"right": right, "none": 0, "wrong": right ^ 0x0101 or 0x0101, "begun": pseudo}[checksum]
    return head[:6] + struct.pack("!H", check) + payload


def ipv4(source, destination, body, ttl, tos, ident, fragment, options=b""):
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, tos, 20 + len(options) + len(body), ident, fragment, ttl,
                       UDP, 0) + packed(source) + packed(destination) + options
    return head[:10] + struct.pack("!H", 0xFFFF - ones_sum(head)) + head[12:] + body


def ipv6(source, destination, body, hops, traffic_class, label, following=UDP):
    return struct.pack("!IHBB", 6 << 28 | traffic_class << 20 | label, len(body), following, hops) + \
        packed(source) + packed(destination) + body


def whole(frame):
    """The frame without what may differ: IPv4's identification (and so its checksum) and IPv6's flow label. None if it is
    no UDP, or if its receiver's stack would throw it away for a checksum."""
    kind, = struct.unpack_from("!H", frame, 12)
    if kind == ETH_IP and frame[23] == UDP:
        total, = struct.unpack_from("!H", frame, 16)
        head, body = frame[14:34], frame[34:14 + total]
        if frame[14] != 0x45 or ones_sum(head) != 0xFFFF:
            return None
        pseudo = pseudo_sum(head[12:16], head[16:20], len(body))
        comparable = head[:4] + bytes(2) + head[6:10] + bytes(2) + head[12:]
    elif kind == ETH_IPV6 and frame[20] == UDP:
        length, = struct.unpack_from("!H", frame, 18)
        head, body = frame[14:54], frame[54:54 + length]
        pseudo = pseudo_sum(head[8:24], head[24:40], len(body))
        comparable = bytes([head[0], head[1] & 0xF0, 0, 0]) + head[4:]
    else:
        return None
    if body[6:8] != b"\0\0" and ones_sum(struct.pack("!H", pseudo) + body) != 0xFFFF:
        return None
    return frame[:14] + comparable + body


def decoded(frame):
    """For people."""
    from scapy.layers.l2 import Ether  # slow to import, and needed for failures only
    return Ether(frame).show(dump=True) + frame.hex()
