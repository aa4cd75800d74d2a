# SPDX-License-Identifier: GPL-2.0-only
"""Promise 2, indistinguishable: the same random datagrams through the server alone and with turnpike, compared as they
come out at client and peer.

DIFFERENTIAL_CASES (2000) and DIFFERENTIAL_SEED (the time) may be set. Left out, for the server's own answer depends on
what it did before: TTL 1 (coturn 4.6.1 uses the previous packet's), and datagrams that outgrow the interface's MTU
(it ends the session).

At each hook: XDP, native and generic, and TC, where senders also leave checksums unfinished.
"""

import os
import random
import socket
import struct
import time
from collections import Counter

import pytest

from packets import ETH_IP, ETH_IPV6, decoded, ipv4, ipv6, udp, whole
from turn import DATA_ATTR, INDICATION, SEND, XOR_PEER, Channel, Peer, TurnClient, message, works, xor_address
from world import PEER4, PEER6, SERVER4, SERVER6, STOCK_COTURN, World, sh, wait_for, within

CASES = int(os.environ.get("DIFFERENTIAL_CASES", 2000))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", time.time()))
BATCH = 32
FAMILIES = [(SERVER4, PEER4), (SERVER4, PEER6), (SERVER6, PEER4), (SERVER6, PEER6)]
HAIRPINS = [(SERVER4, SERVER4, PEER4), (SERVER4, SERVER6, PEER6), (SERVER6, SERVER4, PEER4), (SERVER6, SERVER6, PEER6)]
MTU = 1500
LARGEST = MTU - 40 - 8 - 4 - 24  # with the widest headers, options, and bytes behind
UP, DOWN = 0, 1


SOL_PACKET, PACKET_VNET_HDR, NEEDS_CSUM, CSUM_OFFSET = 263, 15, 1, 6


class Wire:
    """The far end of one of the server's interfaces, by the frame."""

    def __init__(self, world, side, device):
        self.sock, self.sender = (self.open(world, getattr(world, side), device) for _ in range(2))
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        self.sock.settimeout(2)
        self.sender.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)

    @staticmethod
    def open(world, namespace, device):
        sock = within(namespace, socket.socket, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        within(namespace, sock.bind, (device, 0))
        world.sockets.append(sock)
        return sock

    def send(self, frames):
        """(frame, where its UDP header begins if its checksum is only begun, else 0), each."""
        for frame, start in frames:
            self.sender.send(struct.pack("=BBHHHH", NEEDS_CSUM if start else 0, 0, 0, 0, start,
                                         CSUM_OFFSET if start else 0) + frame)

    def flush(self):
        self.sock.setblocking(False)
        try:
            while True:
                self.sock.recv(65535)
        except BlockingIOError:
            self.sock.settimeout(2)

    def until(self, sentinel):
        """Frames that came in, up to the one that has `sentinel` in it."""
        frames = []
        while True:
            frame, address = self.sock.recvfrom(65535)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            if sentinel in frame:
                return frames
            if frame[12:14] in (struct.pack("!H", ETH_IP), struct.pack("!H", ETH_IPV6)):
                frames.append(frame)


class Session:
    """A client's allocation with one channel; `other` is a second socket of the peer, which has no channel."""

    def __init__(self, world, server, peer):
        self.world, self.server = world, (server, 3478)
        self.client = TurnClient(world, self.server)
        self.client.allocate(family=socket.AF_INET6 if ":" in peer else socket.AF_INET)
        self.peer, self.other = Peer(world, peer), Peer(world, peer)
        self.channel = Channel(self.client, self.peer, 0x4000 + random.randrange(0x1000), 0).bind()

    def direction(self, random):
        return random.choice([UP, DOWN])

    def out(self, direction):
        """On whose wire it comes out."""
        return 1 - direction

    def works(self):
        return works(self.channel)

    def bind(self):
        self.channel.bind()

    def ends(self, direction):
        if direction == UP:
            return self.client.address, self.server
        return self.peer.address, self.client.relay

    def mark(self, direction, sentinel):
        """A datagram that only the server itself relays: once it is out, so is all that the server got before."""
        if direction == UP:
            self.send_indication(self.other.address, sentinel)
        else:
            self.other.send(sentinel, self.client.relay)

    def send_indication(self, address, data):
        transaction = os.urandom(12)
        self.client.sock.send(message(SEND | INDICATION, [(XOR_PEER, xor_address(address, transaction)),
                                                          (DATA_ATTR, data)], transaction=transaction))

    def drain(self):
        self.client.drain(), self.peer.drain(), self.other.drain()


class Hairpin(Session):
    """From one client to another of the same server, by its relayed address."""

    def __init__(self, world, server, other, relay):
        self.world, self.server = world, (server, 3478)
        self.client, self.second = TurnClient(world, self.server), TurnClient(world, (other, 3478))
        for client in self.client, self.second:
            client.allocate(family=socket.AF_INET6 if ":" in relay else socket.AF_INET)
        self.other = self.peer = self.second
        self.channel = Channel(self.client, self.second, 0x4000 + random.randrange(0x1000), 0)
        self.bind()

    def bind(self):
        self.client.bind_channel(self.channel.number, self.second.relay)
        self.second.bind_channel(0x4000, self.client.relay)

    def direction(self, random):
        return UP

    def out(self, direction):
        return UP

    def works(self):
        self.client.send_channel(self.channel.number, b"hello")
        return self.second.receive(2) == (0x4000, b"hello")

    def mark(self, direction, sentinel):
        self.send_indication(self.second.relay, sentinel)

    def drain(self):
        self.client.drain(), self.second.drain()


# ---- random datagrams

def channel_data(random, number, data):
    """Mostly as it should be; else with padding, bytes behind, or a length field that lies."""
    kind = random.choice(["plain", "plain", "plain", "padded", "behind", "longer", "shorter", "number"])
    length, behind = len(data), b""
    if kind == "padded":
        behind = random.randbytes(-length % 4)
    elif kind == "behind":
        behind = random.randbytes(random.randrange(9))
    elif kind == "longer":
        length = min(65535, length + random.randrange(1, 9))
    elif kind == "shorter":
        length = max(0, length - random.randrange(1, 9))
    elif kind == "number":
        number = random.choice([number ^ 0x1000, 0x7FFF, 0x3FFF, 0x8000])
    return struct.pack("!HH", number, length) + data + behind


def datagram(random, session, direction, checksums):
    """The packets of one random datagram; more than one if it is fragmented. Each with where its UDP header begins if
    its checksum is only begun, else 0."""
    (source, destination), v6 = session.ends(direction), ":" in session.ends(direction)[0][0]
    data = random.randbytes(random.choice([0, 1, 2, 3, 4, 5, 20, 159, 160, 1200, random.randrange(LARGEST)]))
    payload = channel_data(random, session.channel.number, data) if direction == UP else data
    checksum = random.choice(checksums)
    body = udp(source, destination, payload, checksum)
    ttl, tos = random.choice([2, 47, 63, 64, 65, 128, 255]), random.choice([0, 0x22, random.randrange(256)])
    extra = random.choice([None] * 12 + ["fragments", "options"]) if checksum != "begun" else None
    if v6:
        label, make = random.randrange(1 << 20), [(body, 17)]
        if extra == "options":  # destination options: PadN
            make = [(bytes([17, 0, 1, 4, 0, 0, 0, 0]) + body, 60)]
        elif extra == "fragments" and len(body) > 16:
            cut, ident = len(body) // 16 * 8, random.randrange(1 << 32)
            make = [(struct.pack("!BBHI", 17, 0, 1, ident) + body[:cut], 44),
                    (struct.pack("!BBHI", 17, 0, cut, ident) + body[cut:], 44)]
        packets = [ipv6(source[0], destination[0], part, ttl, tos, label, following) for part, following in make]
    else:
        ident, flags = random.randrange(1 << 16), random.choice([0, 0x4000])
        options, parts = b"", [(body, flags)]
        if extra == "options":
            options = b"\x01\x01\x01\x00"
        elif extra == "fragments" and len(body) > 16:
            cut = len(body) // 16 * 8
            parts = [(body[:cut], 0x2000), (body[cut:], cut // 8)]
        packets = [ipv4(source[0], destination[0], part, ttl, tos, ident, fragment, options) for part, fragment in parts]
    trailer = random.randbytes(random.choice([0, 0, 0, random.randrange(20)]))
    start = (40 if v6 else 20) if checksum == "begun" else 0
    return [(packet + trailer[:MTU - len(packet)], start) for packet in packets]


# ---- runs

class Run:
    """All batches through one set-up, and what came out of each."""

    def __init__(self, world, sessions, checksums):
        self.world, self.sessions, self.checksums = world, sessions, checksums
        self.wires = {UP: Wire(world, "client", "client0"), DOWN: Wire(world, "peer", "peer0")}
        links = world.server_links()
        macs = {side: bytes.fromhex(world.mac(side, device).replace(":", ""))
                for side, device in (("client", "client0"), ("peer", "peer0"))}
        server = {name: bytes.fromhex(link["address"].replace(":", "")) for name, link in links.items()}
        self.heads = {UP: server["to-client"] + macs["client"], DOWN: server["to-peer"] + macs["peer"]}

    def batch(self, number, session, direction, packets):
        sentinel = b"sentinel %d %d;" % (number, random.getrandbits(60))
        kind = struct.pack("!H", ETH_IPV6 if ":" in session.ends(direction)[0][0] else ETH_IP)
        self.wires[direction].send([(self.heads[direction] + kind + packet, start and start + 14)
                                    for packet, start in packets])
        session.mark(direction, sentinel)
        out = self.wires[session.out(direction)].until(sentinel)
        session.drain()
        # Control traffic of the test itself is none of the comparison.
        return Counter(frame for frame in map(whole, out) if frame)


def run_all(run):
    results, source = [], random.Random(SEED)
    for wire in run.wires.values():
        wire.flush()
    for number in range(CASES // BATCH):
        session = source.choice(run.sessions)
        direction = session.direction(source)
        cases = [datagram(source, session, direction, run.checksums) for _ in range(BATCH)]
        results.append((cases, run.batch(number, session, direction, [frame for case in cases for frame in case])))
    return results


def show(number, cases, alone, ours):
    text = [f"seed {SEED}, batch {number}"]
    for title, frames in ("the server alone", alone - ours), ("with turnpike", ours - alone):
        text += [f"only {title}:\n{decoded(frame)}" for frame in list(frames)[:3]]
    return "\n".join(text)


class Offloading(World):
    """The senders leave checksums to hardware that isn't there; the server's own devices finish them."""

    def tune(self, namespace, device):
        super().tune(namespace, device)
        if namespace != self.server:
            sh("nsenter", f"--net=/run/netns/{namespace}", "ethtool", "-K", device, "tx", "on")


CHECKSUMS = ["right"] * 8 + ["none", "wrong"]
HOOKS = {"xdp": (World, CHECKSUMS), "xdp-generic": (World, CHECKSUMS), "tc": (Offloading, CHECKSUMS + ["begun"] * 8)}


@pytest.mark.parametrize("hook", HOOKS)
def test_differential(hook):
    print(f"seed {SEED}, {CASES} cases at {hook}")
    made, checksums = HOOKS[hook]
    with made() as world:
        compare(world, hook, checksums)


def compare(world, hook, checksums):
    coturn = world.start_coturn(STOCK_COTURN, ipv6=True, extra=["-m", "1"])
    sessions = [Session(world, *family) for family in FAMILIES] + [Hairpin(world, *hairpin) for hairpin in HAIRPINS]
    run = Run(world, sessions, checksums)
    assert all(session.works() for session in sessions)
    alone = run_all(run)
    turnpike = world.start_turnpike(coturn.pid, "--hook", hook).wait_ready()
    for session in sessions:
        session.bind()
        assert wait_for(session.works)
    before = turnpike.server()["counters"]["forwarded"]
    ours = run_all(run)
    after = turnpike.server()["counters"]["forwarded"]
    for number, ((cases, expected), (_, got)) in enumerate(zip(alone, ours)):
        assert expected == got, show(number, cases, expected, got)
    for way in "upstream", "downstream", "hairpin":  # else nothing was compared
        assert after[way] - before[way] > 0.05 * CASES
    assert turnpike.stop() == 0
