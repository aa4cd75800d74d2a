# SPDX-License-Identifier: GPL-2.0-only
"""What packets come in and leave by: every hook, devices that can't transmit XDP frames, senders that leave checksums
unfinished, large frames, VLANs. Whatever the way, nothing is lost, and --hook auto finds one that relays."""

import os
import signal
import socket

import pytest

from turn import Channel, Peer, Traffic, TurnClient, works
from world import PEER4, PEER6, RELAY4, RELAY6, SERVER4, SERVER6, STOCK_COTURN, World, sh, wait_for

FAMILIES = {"4-4": (SERVER4, PEER4), "4-6": (SERVER4, PEER6), "6-4": (SERVER6, PEER4), "6-6": (SERVER6, PEER6)}


class Offloading(World):
    """As containers are: a veth sender leaves checksums to hardware that isn't there."""

    @staticmethod
    def tune(namespace, device):
        ethtool(namespace, device, "gro", "on", "tx", "on")


class Bridged(World):
    """The server's address towards the peer is a bridge's; towards the client too, if `both`."""

    def __init__(self, both=False):
        super().__init__()
        self.both = both

    def lay_out_pairs(self):
        super().lay_out_pairs()
        self.put_under("br-peer", "to-peer", "bridge", f"{RELAY4}/24", f"{RELAY6}/64")
        if self.both:
            self.put_under("br-client", "to-client", "bridge", f"{SERVER4}/24", f"{SERVER6}/64")

    def put_under(self, master, port, kind, *addresses):
        make(self, f"link add {master} type {kind}")
        self.ip(self.server, f"addr flush dev {port}", f"link set {port} down", f"link set {port} master {master}",
                f"link set {port} up", *self.addresses(master, *addresses))


class Bonded(Bridged):
    def put_under(self, master, port, kind, *addresses):
        super().put_under(master, port, "bond mode active-backup", *addresses)


class Tagged(World):
    """Both sides of the server are VLAN devices; the peer's of two tags, the outer 802.1ad."""

    def lay_out_pairs(self):
        super().lay_out_pairs()
        make(self, "link add link to-client name to-client.5 type vlan id 5")
        self.ip(self.server, "addr flush dev to-client",
                *self.addresses("to-client.5", f"{SERVER4}/24", f"{SERVER6}/64"))
        self.ip(self.server, "link add link to-peer name to-peer.6 type vlan proto 802.1ad id 6", "link set to-peer.6 up",
                "link add link to-peer.6 name to-peer.6.7 type vlan id 7", "addr flush dev to-peer",
                *self.addresses("to-peer.6.7", f"{RELAY4}/24", f"{RELAY6}/64"))
        # The other ends; their bare devices become the VLANs' bases.
        self.ip(self.client, "link set client0 name client-base", "link set client-base up",
                "link add link client-base name client0 type vlan id 5")
        self.ip(self.peer, "link set peer0 name peer-base", "link set peer-base up",
                "link add link peer-base name peer-s type vlan proto 802.1ad id 6", "link set peer-s up",
                "link add link peer-s name peer0 type vlan id 7")

    def devices(self):
        return [(self.client, "client-base"), (self.peer, "peer-base"), (self.server, "to-client"),
                (self.server, "to-peer")]

    @staticmethod
    def tune(namespace, device):
        # Tags in the frame, as a card without VLAN offload hands them over.
        ethtool(namespace, device, "gro", "on", "tx", "off", "txvlan", "off", "rxvlan", "off", "tx-vlan-stag-hw-insert",
                "off")


class Jumbo(World):
    MTU = 9000

    def lay_out(self):
        super().lay_out()
        for namespace, device in self.devices():
            self.ip(namespace, f"link set {device} mtu {self.MTU}")


def make(world, line):
    """Something of the server's that this kernel may not have."""
    try:
        world.ip(world.server, line)
    except RuntimeError as failure:
        if "Unknown device type" in str(failure):
            pytest.skip(f"this kernel has no `{line.split(' type ')[1].split()[0]}` devices")
        raise


def ethtool(namespace, device, *settings):
    sh("nsenter", f"--net=/run/netns/{namespace}", "ethtool", "-K", device, *settings)


def start(world, *extra):
    coturn = world.start_coturn(STOCK_COTURN, ipv6=True)
    return world.start_turnpike(coturn.pid, *extra).wait_ready()


def session(world, families=FAMILIES["4-4"]):
    server, peer = families
    client, peer = TurnClient(world, (server, 3478)), Peer(world, peer)
    client.allocate(family=socket.getaddrinfo(peer.address[0], None)[0][0])
    return Channel(client, peer, 0x4000, 1).bind()


def forwarded(turnpike):
    return sum(turnpike.server()["counters"]["forwarded"].values())


def hooks(turnpike):
    return {interface["name"]: interface["hook"] for interface in turnpike.server()["interfaces"]}


def each_way(turnpike):
    counts = turnpike.server()["counters"]["forwarded"]
    return counts["upstream"], counts["downstream"]


def relays(world, turnpike, channel, count=1000):
    """Wait until it's done in the kernel, both ways; then all of a run is, and none is lost."""
    before = each_way(turnpike)
    assert wait_for(lambda: works(channel) and all(now > then for now, then in zip(each_way(turnpike), before))), \
        turnpike.output()
    seen = world.server_datagrams()
    traffic = Traffic([channel]).run(count)
    traffic.check()
    assert world.server_datagrams() - seen < 0.02 * traffic.total(), (turnpike.server()["counters"], turnpike.output())


def finish(turnpike):
    assert turnpike.stop() == 0, turnpike.output()


def show(world):
    for process in world.processes:
        print(f"\n$ {' '.join(process.args)}\n{process.output()[-3000:]}")


@pytest.fixture(params=FAMILIES)
def families(request):
    return FAMILIES[request.param]


@pytest.mark.parametrize("hook", ["xdp", "xdp-generic", "tc"])
def test_every_hook(hook, families):
    with World() as world:
        turnpike = start(world, "--hook", hook)
        channel = session(world, families)
        relays(world, turnpike, channel)
        assert hooks(turnpike) == {"to-client": hook, "to-peer": hook}
        finish(turnpike)
        assert works(channel)


def test_unfinished_checksums(families):
    """What containers send: auto takes TC, for the veth's peer says so, and what leaves is right."""
    with Offloading() as world:
        turnpike = start(world)
        channel = session(world, families)
        relays(world, turnpike, channel)
        assert hooks(turnpike) == {"to-client": "tc", "to-peer": "tc"}
        assert all("tx-checksumming" in interface["why"] for interface in turnpike.server()["interfaces"])
        for size in 0, 1, 2, 3, 511, 512, 513, 1024, 1400:
            payload = os.urandom(size)
            channel.client.send_channel(channel.number, payload, pad=size % 2 == 1)
            assert channel.peer.receive() == (payload, channel.client.relay)
            channel.peer.send(payload, channel.client.relay)
            assert channel.client.receive() == (channel.number, payload)
        finish(turnpike)


def test_unfinished_checksums_on_a_wire(families):
    """The same where the server's own device can't finish checksums: the kernel does, in the right place."""
    with Offloading() as world:
        for device in world.server_interfaces():
            ethtool(world.server, device, "tx", "off")
        turnpike = start(world)
        channel = session(world, families)
        relays(world, turnpike, channel)
        finish(turnpike)


def test_unfinished_checksums_later():
    """They begin under way: XDP sees it by the packets, and TC takes over; loudly, and without a loss."""
    with World() as world:
        turnpike = start(world)
        channel = session(world)
        relays(world, turnpike, channel)
        assert hooks(turnpike) == {"to-client": "xdp", "to-peer": "xdp"}
        with Traffic([channel]) as traffic:
            for namespace, device in (world.client, "client0"), (world.peer, "peer0"):
                ethtool(namespace, device, "tx", "on")
            assert wait_for(lambda: hooks(turnpike) == {"to-client": "tc", "to-peer": "tc"}), turnpike.output()
        traffic.check()
        assert "unfinished checksums" in turnpike.output()
        relays(world, turnpike, channel)
        assert not world.xdp_interfaces()
        finish(turnpike)


def test_fixed_hook_stays():
    """--hook xdp is kept to: such packets stay with the server, which is said once."""
    with Offloading() as world:
        turnpike = start(world, "--hook", "xdp")
        channel = session(world)
        Traffic([channel]).run(500).check()
        assert wait_for(lambda: "unfinished checksums" in turnpike.output())
        assert turnpike.output().count("interface to-client: packets come in with unfinished") == 1
        assert hooks(turnpike) == {"to-client": "xdp", "to-peer": "xdp"}
        finish(turnpike)


@pytest.mark.parametrize("both", [False, True])
def test_bridge(both, families):
    """A bridge has no XDP, nor may XDP redirect to it: TC does both."""
    with Bridged(both) as world:
        turnpike = start(world)
        channel = session(world, families)
        relays(world, turnpike, channel)
        found = hooks(turnpike)
        assert found["br-peer"] == "tc"
        # What comes in by plain XDP has to get to the bridge: found out by the first packet.
        assert found.get("to-client", "tc") == "tc"
        assert ("can't transmit XDP frames" in turnpike.output()) == (not both)
        finish(turnpike)


def test_bond():
    with Bonded(both=True) as world:
        turnpike = start(world)
        channel = session(world)
        relays(world, turnpike, channel)
        assert hooks(turnpike) == {"br-client": "tc", "br-peer": "tc"}
        finish(turnpike)


def test_vlan(families):
    """VLAN devices over interfaces with XDP: tags come off and go on there."""
    with Tagged() as world:
        turnpike = start(world)
        channel = session(world, families)
        relays(world, turnpike, channel)
        found = hooks(turnpike)
        assert found["to-client.5"] == found["to-peer.6.7"] == "xdp"
        finish(turnpike)


@pytest.mark.parametrize("hook", ["tc"])
def test_vlan_at_tc(hook, families):
    with Tagged() as world:
        turnpike = start(world, "--hook", hook)
        channel = session(world, families)
        relays(world, turnpike, channel)
        assert set(hooks(turnpike)) == {"to-client.5", "to-peer.6.7"}
        finish(turnpike)


def test_receiver_loses_napi():
    """The peer's veth can't take redirected frames any more. While turnpike doesn't know yet, the loss is counted; then
    it's told, and no more are sent there."""
    with World() as world:
        turnpike = start(world)
        channel = session(world)
        relays(world, turnpike, channel)
        turnpike.popen.send_signal(signal.SIGSTOP)
        ethtool(world.peer, "peer0", "gro", "off")
        channel.peer.drain()
        for _ in range(20):
            channel.client.send_channel(channel.number, b"lost")
        assert channel.peer.receive(0.5) is None
        turnpike.popen.send_signal(signal.SIGCONT)
        relays(world, turnpike, channel)
        server = turnpike.server()
        assert server["counters"]["errors"]["redirect"] == 20
        lost = {interface["name"]: interface["lost_redirects"] for interface in server["interfaces"]}
        assert lost == {"to-client": 0, "to-peer": 20}
        assert "to-peer: frames that are redirected to it are lost" in turnpike.output()
        assert hooks(turnpike)["to-client"] == "tc"
        finish(turnpike)


def test_jumbo(families):
    """Frames larger than a page, which need multi-buffer XDP."""
    with Jumbo() as world:
        turnpike = start(world)
        channel = session(world, families)
        relays(world, turnpike, channel)
        before = forwarded(turnpike)
        sizes = [100, 3000, 4096, 8000, 8800]
        for size in sizes:
            payload = os.urandom(size)
            channel.client.send_channel(channel.number, payload)
            assert channel.peer.receive() == (payload, channel.client.relay)
            channel.peer.send(payload, channel.client.relay)
            assert channel.client.receive() == (channel.number, payload)
        assert forwarded(turnpike) >= before + 2 * len(sizes) - 1  # one may look unfinished
        finish(turnpike)


def test_interface_goes_and_comes():
    """The link to the peer is taken away and made anew, with another number; the server keeps its sockets."""
    with World() as world:
        turnpike = start(world)
        channel = session(world)
        relays(world, turnpike, channel)
        world.ip(world.server, "link del to-peer")
        assert wait_for(lambda: "interface to-peer is gone" in turnpike.output())
        sh("ip", "link", "add", "peer0", "netns", world.peer, "type", "veth", "peer", "name", "to-peer", "netns",
           world.server)
        world.ip(world.server, *world.addresses("to-peer", f"{RELAY4}/24", f"{RELAY6}/64"))
        world.ip(world.peer, *world.addresses("peer0", f"{PEER4}/24", f"{PEER6}/64"), f"route add default via {RELAY4}")
        for namespace, device in (world.server, "to-peer"), (world.peer, "peer0"):
            world.tune(namespace, device)
        relays(world, turnpike, channel)
        finish(turnpike)
