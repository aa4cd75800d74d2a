# SPDX-License-Identifier: GPL-2.0-only
"""What only packets tell, of servers and networks of many kinds: both families, dual allocations, reserved ports, 1:1
NAT, lifetimes, several servers and listeners, allocations that are older than turnpike."""

import struct
import time

import pytest

import test_families
import turn
from test_families import families  # noqa: F401 (fixture)
from test_main import attach, clean_up, forwarded, forwards, listed, name
from test_snoop import START_TURNPIKE, pion, snooping, world  # noqa: F401 (fixtures)
from turn import (ALLOCATE, FAMILY, LIFETIME, REFRESH, REQUESTED_TRANSPORT, XOR_RELAYED, Channel, Peer, Traffic, TurnClient,
                  connect, works)
from world import PEER4, PEER6, RELAY4, SERVER4, SERVER6, wait_for

EVEN_PORT, RESERVATION_TOKEN, ADDITIONAL_FAMILY, MOBILITY_TICKET = 0x0018, 0x0022, 0x8032, 0x8030
PUBLIC = "203.0.113.9"



@pytest.fixture(autouse=True)
def lingering(request, monkeypatch):
    """turnpike ends with the response; coturn itself relays for one second more, which these flows don't expect."""
    refresh = TurnClient.refresh

    def refresh_and_wait(client, lifetime=600):
        granted = refresh(client, lifetime)
        time.sleep(0 if lifetime else 1.5)
        return granted

    if request.node.originalname in ("test_ends_with_the_allocation", "test_hairpin"):
        monkeypatch.setattr(TurnClient, "refresh", refresh_and_wait)


for flow in "relays", "ends_with_the_allocation", "hairpin":
    globals()[f"test_{flow}"] = getattr(test_families, f"test_{flow}")


def rows(turnpike, client):
    return [binding for binding in turnpike.server()["bindings"] if binding["client"] == name(client.address)]


def exchange(client, peer, channel, relay):
    """A datagram each way, the relay being where it is for peers; whatever clients are told."""
    for _ in range(3):
        client.drain(), peer.drain()
        client.send_channel(channel, b"there")
        if peer.receive(1) != (b"there", relay):
            continue
        peer.send(b"back", relay)
        if client.receive(1) == (channel, b"back"):
            return True
    return False


# ---- allocations

def dual(world):
    """An allocation with a relay of each family."""
    client = TurnClient(world)
    response = client.request(ALLOCATE, [(REQUESTED_TRANSPORT, b"\x11\0\0\0"), (ADDITIONAL_FAMILY, b"\x02\0\0\0")])
    assert response.address(XOR_RELAYED)
    return client


def test_dual_allocation(world):
    """Both relays of one allocation, each with its own end."""
    coturn = world.start_coturn(ipv6=True)
    turnpike = attach(world, coturn)
    client, peers = dual(world), [Peer(world, PEER4), Peer(world, PEER6)]
    for number, peer in enumerate(peers):
        client.bind_channel(0x4000 + number, peer.address)
    relays = {row["peer"]: row["relay"] for row in rows(turnpike, client)}
    assert len(relays) == 2
    for number, peer in enumerate(peers):
        host, _, port = next(relay for seen, relay in relays.items() if seen.endswith(f":{peer.address[1]}")).rpartition(":")
        assert exchange(client, peer, 0x4000 + number, (host.strip("[]"), int(port)))
    client.request(REFRESH, [(LIFETIME, bytes(4)), (FAMILY, b"\x02\0\0\0")])
    assert [row["channel"] for row in rows(turnpike, client)] == [0x4000]
    client.request(REFRESH, [(LIFETIME, bytes(4)), (FAMILY, b"\x01\0\0\0")])
    assert not rows(turnpike, client)
    clean_up(turnpike)


def test_reserved_port(world):
    """EVEN-PORT with a reservation, and the allocation that takes it up."""
    turnpike = attach(world, world.start_coturn())
    first, second, peer = TurnClient(world), TurnClient(world), Peer(world)
    response = first.request(ALLOCATE, [(REQUESTED_TRANSPORT, b"\x11\0\0\0"), (EVEN_PORT, b"\x80")])
    first.relay, token = response.address(XOR_RELAYED), response.attributes[RESERVATION_TOKEN]
    second.allocate(extra=[(RESERVATION_TOKEN, token)])
    assert second.relay[1] == first.relay[1] + 1
    for number, client in enumerate((first, second)):
        channel = Channel(client, peer, 0x4000 + number, number).bind()
        assert rows(turnpike, client)[0]["relay"] == name(client.relay)
        assert works(channel) and works(channel)
    assert forwarded(turnpike.server()) > 0
    clean_up(turnpike)


def test_mobility_stays_with_the_server(world):
    """A mobile session may move to another 5-tuple at any time (RFC 8016): left alone, and counted."""
    turnpike = attach(world, world.start_coturn(extra=["--mobility"]))
    client, peer = TurnClient(world), Peer(world)
    client.allocate(extra=[(MOBILITY_TICKET, b"")])
    channel = Channel(client, peer, 0x4000, 1).bind()
    assert works(channel)
    assert not rows(turnpike, client) and turnpike.server()["snoop"]["left"] >= 1
    clean_up(turnpike)


def test_limited_server(world):
    """A bandwidth limit can't be kept by who only sees packets: said, and nothing is attached."""
    coturn = world.start_coturn(extra=["--max-bps=100000"])
    turnpike = START_TURNPIKE(world, coturn.pid, "--mode", "snoop")
    assert turnpike.wait() == 1 and "max-bps" in turnpike.output()
    assert not world.xdp_interfaces()


# ---- lifetimes

def test_allocation_lifetime(world):
    """An allocation that isn't refreshed ends by what the server granted, on the tick of the kernel's own clock; a
    refresh moves the end."""
    turnpike = attach(world, pion(world))
    short, kept = TurnClient(world), TurnClient(world)
    channels = []
    for client in short, kept:
        client.allocate(lifetime=3)
        channels.append(Channel(client, Peer(world), 0x4000, 1).bind())
    assert all(works(channel) for channel in channels)
    begin = time.monotonic()
    while time.monotonic() < begin + 5:
        kept.refresh(3)
        time.sleep(0.5)
    assert not forwards(channels[0]) and works(channels[1])
    assert listed(turnpike) == {(name(kept.address), 0x4000)}
    clean_up(turnpike)


def test_relay_socket_closes(world):
    """A relay that the server closes of its own accord: over at once, though nothing was said on the wire."""
    coturn = world.start_coturn(extra=["--max-allocate-lifetime=3"])
    turnpike = attach(world, coturn)
    channel, = connect(world)
    assert works(channel)
    assert wait_for(lambda: channel.client.relay[1] not in coturn.udp_ports(), 8)
    assert not forwards(channel)
    assert not listed(turnpike)
    clean_up(turnpike)


def test_settings_file(world):
    """Lifetimes are found in the server's settings file too; the least counts."""
    path = world.path("turnserver.conf")
    with open(path, "w") as out:
        out.write("# channel-lifetime=1\nchannel-lifetime=200\npermission-lifetime = 90\n")
    coturn = world.start_coturn(extra=["-c", path, "--channel-lifetime=300"])
    coturn_args = open(f"/proc/{coturn.pid}/cmdline").read().split("\0")
    assert "-n" in coturn_args  # which says that no file is read
    turnpike = attach(world, coturn)
    channel, = connect(world)
    row, = rows(turnpike, channel.client)
    assert 290 < row["expires_in_s"] <= 300
    clean_up(turnpike)


def test_unknown_server_is_believed_for_the_shortest_time(world):
    """RFC 8656's permission lifetime ends a binding where nothing more is known, and CreatePermission moves that end."""
    turnpike = attach(world, pion(world))
    channel, = connect(world)
    assert works(channel)
    row, = rows(turnpike, channel.client)
    assert 290 < row["expires_in_s"] <= 300
    clean_up(turnpike)


# ---- 1:1 NAT

@pytest.mark.parametrize("option", [f"--external-ip={PUBLIC}/{RELAY4}", f"--external-ip={PUBLIC}"])
def test_external_ip(world, option):
    """Clients are told an address that no socket here has: the socket is found by itself."""
    turnpike = attach(world, world.start_coturn(extra=[option]))
    client, peer = TurnClient(world), Peer(world)
    client.allocate()
    assert client.relay[0] == PUBLIC
    client.bind_channel(0x4000, peer.address)
    assert rows(turnpike, client)[0]["relay"] == f"{RELAY4}:{client.relay[1]}"
    assert exchange(client, peer, 0x4000, (RELAY4, client.relay[1]))
    before = forwarded(turnpike.server())
    assert exchange(client, peer, 0x4000, (RELAY4, client.relay[1])) and forwarded(turnpike.server()) == before + 2
    client.refresh(0)
    assert not rows(turnpike, client)
    clean_up(turnpike)


@pytest.mark.parametrize("bind", ["0.0.0.0", RELAY4])
def test_external_ip_of_another_server(world, bind):
    """The same with relay sockets that are bound to nothing, and with such as are."""
    turnpike = attach(world, pion(world, relay=PUBLIC, bind=bind))
    client, peer = TurnClient(world), Peer(world)
    client.allocate()
    assert client.relay[0] == PUBLIC
    client.bind_channel(0x4000, peer.address)
    assert wait_for(lambda: rows(turnpike, client))
    assert rows(turnpike, client)[0]["relay"] == f"{RELAY4}:{client.relay[1]}"
    assert exchange(client, peer, 0x4000, (RELAY4, client.relay[1]))
    clean_up(turnpike)


# ---- servers and listeners

def test_several_servers(world):
    """Two servers of different kinds on one machine, a turnpike for each: each knows its own clients only."""
    coturn = world.start_coturn(ports=(50000, 50499))
    other = pion(world, port=3479, ports=(50500, 50999))
    turnpikes = [attach(world, coturn, "--interface", "to-client"), attach(world, other, "--interface", "to-peer")]
    ours = connect(world, 2)
    theirs = connect(world, 2, server=(SERVER4, 3479), first_id=2)
    for turnpike, channels in zip(turnpikes, (ours, theirs)):
        assert wait_for(lambda: listed(turnpike) == {(name(c.client.address), c.number) for c in channels})
    assert all(works(channel) for channel in ours + theirs)
    for turnpike in turnpikes:
        clean_up(turnpike)


def test_several_listeners(world):
    """One server on several addresses: a client on each, whose channel has the same number."""
    turnpike = attach(world, world.start_coturn(ipv6=True, extra=["-L", RELAY4]))
    channels = [connect(world, 1, server=(address, 3478), first_id=number)[0]
                for number, address in enumerate((SERVER4, RELAY4, SERVER6))]
    Traffic(channels).run(100).check()
    assert len(listed(turnpike)) == 3
    before = forwarded(turnpike.server())
    traffic = Traffic(channels).run(100)
    assert forwarded(turnpike.server()) - before >= 0.9 * traffic.total()
    clean_up(turnpike)


# ---- older than turnpike

def test_older_allocations(world):
    """A refresh of a channel tells of client and peer, and data tells of the relay: never a wrong one, however alike the
    data of different clients is."""
    coturn = world.start_coturn()
    channels = connect(world, 6)
    turnpike = attach(world, coturn)
    for channel in channels:
        channel.bind()
    assert not listed(turnpike)
    for _ in range(30):
        for channel in channels:
            channel.client.send_channel(channel.number, b"all of us say the same")
    time.sleep(0.3)
    assert not listed(turnpike)
    for channel in channels:
        channel.peer.drain()
    Traffic(channels).run(20).check()
    found = {row["client"]: row["relay"] for row in turnpike.server()["bindings"]}
    assert found == {name(c.client.address): name(c.client.relay) for c in channels}
    seen = world.server_datagrams()
    assert all(works(channel) for channel in channels) and world.server_datagrams() == seen
    channels[0].client.refresh(0)
    assert len(listed(turnpike)) == 5
    clean_up(turnpike)


def test_copied_payload_is_not_believed(world):
    """Somebody who knows what a client will send, and sends it to the client's peer first, by a relay of his own."""
    coturn = world.start_coturn()
    victim, = connect(world)
    thief = TurnClient(world)
    thief.allocate()
    thief.bind_channel(0x4000, victim.peer.address)
    turnpike = attach(world, coturn)
    victim.bind(), thief.bind_channel(0x4000, victim.peer.address)
    for number in range(40):
        payload = b"predicted %08d" % number
        thief.send_channel(0x4000, payload)
        time.sleep(0.01)
        victim.client.send_channel(victim.number, payload)
        time.sleep(0.01)
    found = {row["client"]: row["relay"] for row in turnpike.server()["bindings"]}
    assert found.get(name(victim.client.address)) in (None, name(victim.client.relay))
    assert found.get(name(thief.address)) in (None, name(thief.relay))
    clean_up(turnpike)
