# SPDX-License-Identifier: GPL-2.0-only
"""Next hops follow the kernel's own: routes, gateways, rules, neighbours, MTUs change under traffic. Nothing may be lost
but what is sent to a MAC that nobody has any more, and the new way must be taken in the kernel, not by the server."""

import socket
import struct

import pytest

from turn import Channel, Peer, Traffic, TurnClient, works
from world import CLIENT4, PEER4, RELAY4, STOCK_COTURN, World, sh, wait_for, within

NEAR4 = "10.77.2.3"    # the peer's second address on the link
FAR4 = "10.77.9.9"     # behind either of its two
SECOND4, SECOND4_PEER = "10.77.3.1", "10.77.3.2"


class TwoLinks(World):
    """The peer has an address behind two links to the server; the first is its way."""

    def lay_out_pairs(self):
        super().lay_out_pairs()
        sh("ip", "link", "add", "peer1", "netns", self.peer, "type", "veth", "peer", "name", "to-peer2", "netns",
           self.server)
        self.ip(self.server, *self.addresses("to-peer2", f"{SECOND4}/24"))
        self.ip(self.peer, *self.addresses("peer1", f"{SECOND4_PEER}/24"), *self.addresses("lo", f"{FAR4}/32"))
        self.ip(self.server, f"route add {FAR4} via {PEER4} dev to-peer")
        for device in "all", "peer0", "peer1", "default":
            self.sysctl(self.peer, f"ipv4/conf/{device}/rp_filter", 0)

    def devices(self):
        return [*super().devices(), (self.peer, "peer1"), (self.server, "to-peer2")]


class TwoGateways(World):
    """Everybody on one segment, the peer with two cards, whose addresses are each its own."""

    def __init__(self):
        super().__init__(same_interface=True)

    def lay_out_bridge(self):
        super().lay_out_bridge()
        sh("ip", "link", "add", "peer1", "netns", self.peer, "type", "veth", "peer", "name", "br-peer1", "netns", self.lan)
        self.ip(self.lan, "link set br-peer1 master br0", "link set br-peer1 up")
        self.sysctl(self.peer, "ipv4/conf/all/arp_ignore", 1)
        self.sysctl(self.peer, "ipv4/conf/all/rp_filter", 0)
        self.ip(self.peer, *self.addresses("peer1", f"{NEAR4}/24"), *self.addresses("lo", f"{FAR4}/32"))
        self.ip(self.server, f"route add {FAR4} via {PEER4}")

    def devices(self):
        return [*super().devices(), (self.peer, "peer1"), (self.lan, "br-peer1")]


class Bound:
    """A channel to a peer under traffic, and who carries it."""

    def __init__(self, world, peer=FAR4, traffic=True):
        self.world = world
        coturn = world.start_coturn(STOCK_COTURN)
        self.turnpike = world.start_turnpike(coturn.pid).wait_ready()
        self.client = TurnClient(world)
        self.client.allocate()
        self.channel = Channel(self.client, Peer(world, peer), 0x4000, 1).bind()
        assert works(self.channel)
        self.carried()
        self.traffic = Traffic([self.channel], window=4)
        if traffic:
            self.traffic.start()

    def forwarded(self):
        return sum(self.turnpike.server()["counters"]["forwarded"].values())

    def carried(self):
        """Wait until datagrams are relayed in the kernel."""
        before = self.forwarded()
        assert wait_for(lambda: works(self.channel) and self.forwarded() >= before + 2)

    def flows(self, device):
        """Wait until what is under way is relayed in the kernel, and comes in at the peer's device."""
        def moved():
            start, seen, relayed = self.arrived(device), self.world.server_datagrams(), self.traffic.total()
            wait_for(lambda: self.traffic.total() > relayed + 400, 2)
            relayed = self.traffic.total() - relayed
            return self.arrived(device) - start > 0.4 * relayed > 100 and \
                self.world.server_datagrams() - seen < 0.02 * relayed
        assert wait_for(moved), self.traffic.summary()

    def arrived(self, device):
        return within(self.world.peer, self.arrived_here, device)

    @staticmethod
    def arrived_here(device):
        with open("/proc/thread-self/net/dev") as table:
            for line in table:
                name, _, numbers = line.partition(":")
                if name.strip() == device:
                    return int(numbers.split()[1])
        raise KeyError(device)

    def finish(self, lossless=True):
        self.traffic.stop()
        if lossless:
            self.traffic.check()
        assert not self.traffic.misdelivered, self.traffic.summary()
        assert self.turnpike.stop() == 0


@pytest.fixture
def links():
    with TwoLinks() as made:
        yield made
        show(made)


@pytest.fixture
def gateways():
    with TwoGateways() as made:
        yield made
        show(made)


def show(world):
    for process in world.processes:
        print(f"\n$ {' '.join(process.args)}\n{process.output()[-3000:]}")


def test_route_change(links):
    """There and back: the route moves to another link and gateway."""
    bound = Bound(links)
    bound.flows("peer0")
    for device, gateway in ("peer1", SECOND4_PEER), ("peer0", PEER4):
        links.ip(links.server, f"route replace {FAR4} via {gateway}")
        bound.flows(device)
    bound.finish()


def test_more_specific_route(links):
    """A route is added before the one that held, and is gone again."""
    links.ip(links.server, f"route del {FAR4}", f"route add 10.77.9.0/24 via {PEER4}")
    bound = Bound(links)
    bound.flows("peer0")
    links.ip(links.server, f"route add {FAR4} via {SECOND4_PEER}")
    bound.flows("peer1")
    links.ip(links.server, f"route del {FAR4} via {SECOND4_PEER}")
    bound.flows("peer0")
    bound.finish()


def test_next_hop_object(links):
    """A route by a next-hop object, which is what changes."""
    links.ip(links.server, f"nexthop add id 7 via {PEER4} dev to-peer", f"route replace {FAR4} nhid 7")
    bound = Bound(links)
    bound.flows("peer0")
    links.ip(links.server, f"nexthop replace id 7 via {SECOND4_PEER} dev to-peer2")
    bound.flows("peer1")
    bound.finish()


def test_policy_rule(links):
    """A rule by the relayed address, as a server with two providers has it."""
    links.ip(links.server, f"route add {FAR4} via {SECOND4_PEER} table 100")
    bound = Bound(links)
    bound.flows("peer0")
    links.ip(links.server, f"rule add from {RELAY4} lookup 100")
    bound.flows("peer1")
    links.ip(links.server, f"rule del from {RELAY4} lookup 100")
    bound.flows("peer0")
    bound.finish()


def test_rule_by_ports(links):
    """Where a rule asks for more than addresses, an address pair has no one route: it's left to the server."""
    links.ip(links.server, f"route add {FAR4} via {SECOND4_PEER} table 100")
    bound = Bound(links)
    bound.flows("peer0")
    links.ip(links.server, f"rule add from {RELAY4} ipproto udp sport 50000-50999 lookup 100")

    def by_server():
        before, at = bound.forwarded(), bound.arrived("peer1")
        relayed = bound.traffic.total()
        wait_for(lambda: bound.traffic.total() > relayed + 100, 2)
        return bound.forwarded() == before and bound.arrived("peer1") > at
    assert wait_for(by_server)
    assert "rule" in bound.turnpike.output()
    links.ip(links.server, f"rule del from {RELAY4} ipproto udp sport 50000-50999 lookup 100")
    bound.flows("peer0")
    bound.finish()


def test_rule_by_user(links):
    """A rule for the server's user is a rule for what is relayed in its stead."""
    links.ip(links.server, f"route add {FAR4} via {SECOND4_PEER} table 100", "rule add uidrange 0-0 lookup 100")
    bound = Bound(links)
    bound.flows("peer1")
    links.ip(links.server, "rule del uidrange 0-0 lookup 100", "rule add uidrange 1-70000 lookup 100")
    bound.flows("peer0")
    bound.finish()


def test_gateway_change(gateways):
    """Another gateway on the same link: only the MAC differs."""
    bound = Bound(gateways)
    bound.flows("peer0")
    for device, gateway in ("peer1", NEAR4), ("peer0", PEER4):
        gateways.ip(gateways.server, f"route replace {FAR4} via {gateway}")
        bound.flows(device)
    bound.finish()


def test_neighbours_forgotten(gateways):
    """All that is known of neighbours is deleted, many times. Not by `ip neigh flush`: that goes round until none is left,
    and so deletes entries that are being resolved again, with the packets that wait for them."""
    bound = Bound(gateways)
    for _ in range(20):
        for address in PEER4, CLIENT4:
            sh("ip", "-n", gateways.server, "neigh", "del", address, "dev", "lan0", check=False)
        sent = bound.traffic.total()
        assert wait_for(lambda: bound.traffic.total() > sent + 100)
    bound.flows("peer0")
    bound.finish()


def test_announced_mac_change(gateways):
    """A neighbour gets another MAC and says so (ARP, as a gateway that takes over does)."""
    bound = Bound(gateways, NEAR4)
    bound.flows("peer1")
    bound.traffic.paused = True
    assert wait_for(lambda: not any(bound.traffic.pending.values()))
    gateways.ip(gateways.peer, "link set peer1 address 02:00:00:00:77:01")
    arp = within(gateways.peer, socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0)
    gateways.sockets.append(arp)
    within(gateways.peer, arp.bind, ("peer1", 0))
    mac, address = bytes.fromhex("020000007701"), socket.inet_aton(NEAR4)
    frame = b"\xff" * 6 + mac + struct.pack("!HHHBBH", 0x806, 1, 0x800, 6, 4, 2) + mac + address + b"\xff" * 6 + address

    def known():
        arp.send(frame)  # again: the kernel takes no second MAC within a second (locktime)
        return "02:00:00:00:77:01" in sh("ip", "-n", gateways.server, "neigh", "show", NEAR4)
    assert wait_for(known, step=0.2)
    bound.traffic.paused = False
    bound.flows("peer1")
    bound.finish()


def quick_neighbours(world):
    for device in "lan0", "default":
        for name, value in ("base_reachable_time_ms", 1000), ("delay_first_probe_time", 1), ("retrans_time_ms", 200), \
                           ("locktime", 0), ("gc_stale_time", 600):
            world.sysctl(world.server, f"ipv4/neigh/{device}/{name}", value)


def test_silent_mac_change(gateways):
    """A MAC is dead and nobody says so: the entry that only XDP goes by must not stay stale for ever."""
    quick_neighbours(gateways)
    bound = Bound(gateways, NEAR4)
    bound.flows("peer1")
    # Unicast goes nowhere: the old MAC is nobody's. Broadcast still finds the new one.
    gateways.ip(gateways.peer, "link set peer1 address 02:00:00:00:77:02")
    bound.flows("peer1")
    bound.finish(lossless=False)


def test_neighbour_stays_confirmed(gateways):
    """While only XDP uses it, a neighbour that lives is probed by unicast again and again, and nothing is lost by that."""
    quick_neighbours(gateways)
    bound = Bound(gateways, NEAR4, traffic=False)
    states = []

    def confirmed():
        assert works(bound.channel)
        state = sh("ip", "-n", gateways.server, "neigh", "show", NEAR4, "dev", "lan0").split()[-1]
        if state not in states[-1:]:
            states.append(state)
        return states.count("REACHABLE") >= 4
    seen = gateways.server_datagrams()
    assert wait_for(confirmed, 30, 0.1), states
    assert not set(states) & {"FAILED", "INCOMPLETE"}, states
    assert gateways.server_datagrams() == seen  # it's not the server's sending that did it
    assert bound.turnpike.stop() == 0


def large(bound, size):
    """One datagram of that size from the peer; has it been relayed in the kernel?"""
    before = bound.turnpike.server()["counters"]
    bound.channel.peer.send(bytes(size), bound.client.relay)
    arrived = wait_for(lambda: (bound.client.receive(1) or (0, b""))[1] == bytes(size), 1)
    after = bound.turnpike.server()["counters"]
    return bool(arrived), after["forwarded"]["downstream"] > before["forwarded"]["downstream"], \
        after["passed"]["mtu"] - before["passed"]["mtu"]


def test_mtu_change(links):
    """The way out gets wider, and narrower: what doesn't fit passes, and what does is relayed."""
    links.ip(links.server, "link set to-client mtu 1000")
    bound = Bound(links, traffic=False)
    assert large(bound, 900) == (True, True, 0)
    links.ip(links.server, "link set to-client mtu 1500")
    assert wait_for(lambda: large(bound, 1200) == (True, True, 0))
    links.ip(links.server, "link set to-client mtu 1000")
    assert wait_for(lambda: large(bound, 900) == (True, True, 0))
    assert large(bound, 1200)[1:] == (False, 1)  # the server can't send it either
    assert bound.turnpike.stop() == 0
