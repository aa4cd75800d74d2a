# SPDX-License-Identifier: GPL-2.0-only
"""IPv4 and IPv6 clients and peers, each with each, on a real coturn."""

import socket

import pytest

from turn import Channel, Peer, Traffic, TurnClient, works
from world import PEER4, PEER6, SERVER4, SERVER6, STOCK_COTURN, World, wait_for

FAMILIES = {"4-4": (SERVER4, PEER4), "4-6": (SERVER4, PEER6), "6-4": (SERVER6, PEER4), "6-6": (SERVER6, PEER6)}


@pytest.fixture(params=FAMILIES)
def families(request):
    return FAMILIES[request.param]


@pytest.fixture
def world():
    with World() as made:
        yield made
        for process in made.processes:
            print(f"\n$ {' '.join(process.args)}\n{process.output()[-3000:]}")


def start(world, *extra):
    coturn = world.start_coturn(STOCK_COTURN, ipv6=True, extra=extra)
    return world.start_turnpike(coturn.pid).wait_ready()


def session(world, families):
    server, peer = families
    client, peer = TurnClient(world, (server, 3478)), Peer(world, peer)
    client.allocate(family=socket.getaddrinfo(peer.address[0], None)[0][0])
    return Channel(client, peer, 0x4000, 1).bind()


def test_relays(world, families):
    """Both ways, without a loss, and past the server's sockets."""
    turnpike = start(world)
    channel = session(world, families)
    assert works(channel) and works(channel)
    seen = world.server_datagrams()
    traffic = Traffic([channel]).run(2000)
    traffic.check()
    assert world.server_datagrams() - seen < 0.02 * traffic.total()
    assert turnpike.stop() == 0


def test_ends_with_the_allocation(world, families):
    """Promise 3: a relay socket that the server closes ends its bindings, and only its own."""
    turnpike = start(world)
    channel, other = session(world, families), session(world, families)
    assert works(channel) and works(other)
    channel.client.refresh(0)
    assert wait_for(lambda: len(turnpike.server()["bindings"]) == 1)
    channel.client.send_channel(channel.number, b"late")
    channel.peer.drain()
    assert channel.peer.receive(0.5) is None
    assert works(other)
    assert turnpike.stop() == 0


HAIRPINS = [(one, other, relay) for relay in (PEER4, PEER6) for one in (SERVER4, SERVER6) for other in (SERVER4, SERVER6)]


def hairpin(world, servers, relay):
    """Two clients of one server, each the other's peer, by their relayed addresses."""
    clients = [TurnClient(world, (server, 3478)) for server in servers]
    for client in clients:
        client.allocate(family=socket.getaddrinfo(relay, None)[0][0])
    for number, client in enumerate(clients):
        client.bind_channel(0x4000 + number, clients[1 - number].relay)
    return clients


def crosses(clients, size=160):
    """A datagram each way."""
    for number, client in enumerate(clients):
        payload = bytes([number + 1]) * size
        client.send_channel(0x4000 + number, payload)
        if clients[1 - number].receive(2) != (0x4001 - number, payload):
            return False
    return True


@pytest.mark.parametrize("one, other, relay", HAIRPINS)
def test_hairpin(world, one, other, relay):
    """From client to client of the same server in one step, past the server's sockets and past the wire to the peers."""
    turnpike = start(world)
    clients = hairpin(world, (one, other), relay)
    assert wait_for(lambda: crosses(clients) and turnpike.server()["counters"]["forwarded"]["hairpin"] > 2)
    seen, before = world.server_datagrams(), turnpike.server()["counters"]["forwarded"]
    for size in range(0, 1400, 7):
        assert crosses(clients, size)
    after = turnpike.server()["counters"]["forwarded"]
    # A neighbour that is news makes all next hops be looked up again, which a few datagrams may not wait for.
    assert world.server_datagrams() - seen < 0.05 * 400 * 4
    assert 0.95 * 400 <= after["hairpin"] - before["hairpin"] <= 400
    assert (after["upstream"], after["downstream"]) == (before["upstream"], before["downstream"])
    clients[1].refresh(0)  # promise 3: with the second relayed address gone, nothing arrives by it
    clients[0].send_channel(0x4000, b"late")
    clients[1].drain()
    assert clients[1].receive(0.5) is None
    assert turnpike.stop() == 0
