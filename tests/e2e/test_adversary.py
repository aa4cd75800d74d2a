# SPDX-License-Identifier: GPL-2.0-only
"""What somebody tries who knows that turnpike learns from packets: each ends with the table as the server has it."""

import hashlib
import os
import socket
import struct
import time

import pytest

import turn
from packets import ipv4, udp
from test_main import attach, clean_up, name
from test_snoop import snooping, world  # noqa: F401 (fixtures)
from turn import (ALLOCATE, CHANNEL_BIND, CHANNEL_NUMBER, LIFETIME, REFRESH, SUCCESS, XOR_PEER,
                  XOR_RELAYED, Peer, TurnClient, connect, message, works, xor_address)
from world import CLIENT4, RELAY4, SERVER4, within

SERVER = (SERVER4, 3478)


def raw(world, side):
    """A socket that sends whole IPv4 packets, with any source."""
    sock = within(getattr(world, side), socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    world.sockets.append(sock)
    return sock


def packet(source, destination, payload, ident=0, checksum="right"):
    return ipv4(source[0], destination[0], udp(source, destination, payload, checksum), 64, 0, ident, 0)


def fragments(source, destination, payload, ident, size=64):
    body = udp(source, destination, payload)
    for at in range(0, len(body), size):
        more = 0x2000 if at + size < len(body) else 0
        yield ipv4(source[0], destination[0], body[at:at + size], 64, 0, ident, at // 8 | more)


def bind_request(client, channel, peer, transaction, key=True, extra=()):
    """The bytes of a ChannelBind; with another key than the client's, of one that the server refuses."""
    wanted = [(CHANNEL_NUMBER, struct.pack("!HH", channel, 0)), (XOR_PEER, xor_address(peer, transaction)), *extra]
    return message(CHANNEL_BIND, wanted + client.credentials(), client.key if key is True else key, transaction)


def success(method, transaction, *attributes):
    return message(method | SUCCESS, list(attributes), transaction=transaction)


def peers_of(turnpike, client):
    return {(binding["channel"], binding["peer"]) for binding in turnpike.server()["bindings"]
            if binding["client"] == name(client.address)}


def allocated(world, **options):
    client = TurnClient(world, **options)
    client.allocate()
    return client


BAD_KEY = hashlib.md5(b"nobody's").digest()


@pytest.fixture
def scene(world):
    """A server, turnpike, a client that has credentials and an allocation, a peer, and a live channel of somebody else."""
    class Scene:
        def check(self):
            """Somebody else's channel is where it was, and nothing was committed for the adversary."""
            assert works(self.live)
            assert peers_of(self.turnpike, self.live.client) == {(0x4000, name(self.live.peer.address))}
            assert not peers_of(self.turnpike, self.client), peers_of(self.turnpike, self.client)
            clean_up(self.turnpike)

    scene = Scene()
    scene.world, scene.coturn = world, world.start_coturn(extra=["--allowed-peer-ip=10.77.1.2", "--denied-peer-ip=10.9.9.9"])
    scene.turnpike = attach(world, scene.coturn)
    scene.live, = connect(world)
    scene.client, scene.peer = allocated(world), Peer(world)
    return scene


def refused_bind(scene, channel, transaction, key=BAD_KEY, peer=("10.9.9.9", 9999)):
    """A ChannelBind that waits for its response in turnpike's table, and that the server refuses."""
    scene.client.sock.send(bind_request(scene.client, channel, peer, transaction, key))
    return scene.client.wait_response(transaction)


def test_response_as_payload_to_the_client(scene):
    """A client makes itself its own peer, and has its relay send it a success response."""
    transaction = os.urandom(12)
    assert refused_bind(scene, 0x4001, transaction, peer=scene.peer.address).error()
    scene.client.create_permission(scene.client.address)
    scene.client.send_indication(scene.client.address, success(CHANNEL_BIND, transaction))
    scene.client.send_indication(scene.client.address, success(ALLOCATE, transaction,
        (XOR_RELAYED, xor_address((RELAY4, 50999), transaction)), (LIFETIME, struct.pack("!I", 600))))
    time.sleep(0.3)
    scene.check()


def test_response_as_payload_to_a_client(scene):
    """A peer sends a success response through the relay: it reaches the client in a Data indication, or as channel
    data on the adversary's own channel."""
    transaction = os.urandom(12)
    assert refused_bind(scene, 0x4001, transaction, peer=scene.peer.address).error()
    scene.client.create_permission(scene.peer.address)
    scene.peer.send(success(CHANNEL_BIND, transaction), scene.client.relay)
    assert scene.client.receive()
    scene.live.peer.send(success(CHANNEL_BIND, transaction), scene.live.client.relay)
    assert scene.live.client.receive()
    scene.check()


def test_spoofed_request(scene):
    """Somebody sends requests with the live client's address; the server refuses them for want of a password."""
    sock, victim = raw(scene.world, "client"), scene.live.client
    for number in range(50):
        transaction = os.urandom(12)
        spoofed = bind_request(victim, 0x4000, scene.peer.address, transaction, BAD_KEY)
        sock.sendto(packet(victim.address, SERVER, spoofed, number), (SERVER4, 0))
        refresh = message(REFRESH, [(LIFETIME, bytes(4)), *victim.credentials()], BAD_KEY)
        sock.sendto(packet(victim.address, SERVER, refresh, number), (SERVER4, 0))
    time.sleep(0.3)
    scene.check()


@pytest.mark.parametrize("side", ["client", "peer", "server"])
def test_forged_response(scene, side):
    """Success responses to a request that was refused, from another host or from another socket of the server's
    machine, with the server's address."""
    transaction = os.urandom(12)
    assert refused_bind(scene, 0x4001, transaction, peer=scene.peer.address).error()
    forged = packet(SERVER, scene.client.address, success(CHANNEL_BIND, transaction))
    for destination in {SERVER4, scene.client.address[0]}:
        raw(scene.world, side).sendto(forged, (destination, 0))
    time.sleep(0.3)
    scene.check()


def test_wrong_transaction(scene):
    """A request that was refused, and the response to another one: a transaction id belongs to its own 5-tuple."""
    transaction = os.urandom(12)
    assert refused_bind(scene, 0x4001, transaction, peer=scene.peer.address).error()
    other = allocated(scene.world)
    other.sock.send(bind_request(other, 0x4002, scene.peer.address, transaction))
    assert not other.wait_response(transaction).error()
    assert peers_of(scene.turnpike, other) == {(0x4002, name(scene.peer.address))}
    scene.check()


@pytest.mark.parametrize("first", ["refused", "broken", "unread"])
@pytest.mark.parametrize("second", ["whole", "fragments"])
def test_transaction_reused(scene, first, second):
    """A request for a forbidden peer that the server refuses, ignores, or never gets; then one for an allowed peer
    with the same transaction id, whose success says nothing of the former."""
    client, transaction, source = scene.client, os.urandom(12), scene.client.address
    bad = bind_request(client, 0x4001, ("10.9.9.9", 9999), transaction, BAD_KEY)
    if first == "broken":
        bad = bad[:-1] + bytes([bad[-1] ^ 1])
    checksum = "wrong" if first == "unread" else "right"
    raw(scene.world, "client").sendto(packet(source, SERVER, bad, 1, checksum), (SERVER4, 0))
    time.sleep(0.2)
    client.drain()
    good = bind_request(client, 0x4001, scene.peer.address, transaction)
    if second == "fragments":
        for fragment in fragments(source, SERVER, good, 2):
            raw(scene.world, "client").sendto(fragment, (SERVER4, 0))
    else:
        client.sock.send(good)
    response = client.wait_response(transaction)
    assert response and not response.error()
    client.send_channel(0x4001, b"through the server")
    assert scene.peer.receive() == (b"through the server", client.relay)
    bound = peers_of(scene.turnpike, client)
    assert bound <= ({(0x4001, name(scene.peer.address))} if first == "unread" else set())
    assert (0x4001, "10.9.9.9:9999") not in bound
    client.refresh(0)
    scene.check()


def test_two_answers_to_one_transaction(scene):
    """Two requests with one id, both good: neither response says which it answers."""
    transaction, other = os.urandom(12), Peer(scene.world)
    scene.client.sock.send(bind_request(scene.client, 0x4001, scene.peer.address, transaction))
    scene.client.sock.send(bind_request(scene.client, 0x4002, other.address, transaction))
    assert scene.client.wait_response(transaction) and scene.client.wait_response(transaction)
    bound = peers_of(scene.turnpike, scene.client)
    assert bound <= {(0x4001, name(scene.peer.address)), (0x4002, name(other.address))}
    scene.client.refresh(0)
    scene.check()


def test_clients_behind_one_nat(scene):
    """Two clients with one address and the same channel number: each has its own."""
    one, other = allocated(scene.world), allocated(scene.world)
    peers = [Peer(scene.world), Peer(scene.world)]
    channels = [turn.Channel(one, peers[0], 0x4000, 1).bind(), turn.Channel(other, peers[1], 0x4000, 2).bind()]
    turn.Traffic(channels).run(50).check()
    assert all(works(channel) for channel in channels)
    one.refresh(0)
    assert not peers_of(scene.turnpike, one) and peers_of(scene.turnpike, other)
    assert works(channels[1])
    other.refresh(0)
    scene.check()


def test_flood(scene):
    """More requests than are kept, none of which has a right answer: memory is bounded, live bindings are untouched, it
    is counted, and who is in earnest is still served."""
    before, memory = scene.turnpike.server()["snoop"]["requests"], scene.turnpike.server()["memory_bytes"]
    sock = raw(scene.world, "client")
    template = bind_request(scene.client, 0x4001, ("10.9.9.9", 9999), bytes(12), BAD_KEY)
    for number in range(20_000):
        payload = template[:8] + struct.pack("!III", number, 7, 7) + template[20:]
        sock.sendto(packet((CLIENT4, 1024 + number % 20000), SERVER, payload, number & 0xFFFF), (SERVER4, 0))
    server = scene.turnpike.server()
    assert server["snoop"]["requests"] - before > 8192
    assert server["memory_bytes"] == memory
    assert works(scene.live)
    time.sleep(0.5)  # coturn has to read them all
    scene.client.drain()
    scene.client.bind_channel(0x4003, scene.peer.address)
    assert peers_of(scene.turnpike, scene.client) == {(0x4003, name(scene.peer.address))}
    scene.client.refresh(0)
    scene.check()


@pytest.mark.parametrize("kind, good", [(CHANNEL_NUMBER, 4), (XOR_PEER, 8)])
def test_malformed_attribute(scene, kind, good):
    """An attribute at every length but its own, rightly signed; whatever the server makes of it, turnpike makes
    nothing."""
    for length in [length for length in range(0, 33) if length != good]:
        transaction = os.urandom(12)
        wanted = {CHANNEL_NUMBER: struct.pack("!HH", 0x4001, 0), XOR_PEER: xor_address(scene.peer.address, transaction)}
        wanted[kind] = (wanted[kind] + bytes(40))[:length]
        request = message(CHANNEL_BIND, [*wanted.items(), *scene.client.credentials()], scene.client.key, transaction)
        scene.client.sock.send(request)
        scene.client.wait_response(transaction)
        assert not peers_of(scene.turnpike, scene.client), length
    scene.check()


def test_repeated_attribute(scene):
    """Two peers in one ChannelBind: which one the server takes isn't guessed."""
    transaction, other = os.urandom(12), Peer(scene.world)
    scene.client.sock.send(bind_request(scene.client, 0x4001, scene.peer.address, transaction,
                                        extra=[(XOR_PEER, xor_address(other.address, transaction))]))
    scene.client.wait_response(transaction)
    scene.check()


def test_refused_refresh(scene):
    """A Refresh with lifetime 0 that the server refuses ends nothing."""
    scene.client.bind_channel(0x4001, scene.peer.address)
    transaction = os.urandom(12)
    scene.client.sock.send(message(REFRESH, [(LIFETIME, bytes(4)), *scene.client.credentials()], BAD_KEY, transaction))
    assert scene.client.wait_response(transaction).error()
    assert peers_of(scene.turnpike, scene.client) == {(0x4001, name(scene.peer.address))}
    assert works(turn.Channel(scene.client, scene.peer, 0x4001, 1))
    assert scene.client.refresh(0) == 0
    assert not peers_of(scene.turnpike, scene.client)  # with the response, not a second later
    scene.check()


def test_refused_bind(scene):
    """A ChannelBind that the server refuses commits nothing: a forbidden peer, a channel that has another peer, a peer
    that has another channel, a number that is none."""
    other = Peer(scene.world)
    for channel, peer in (0x4001, ("10.9.9.9", 9999)), (0x3FFF, scene.peer.address), (0x8000, scene.peer.address):
        with pytest.raises(turn.StunError):
            scene.client.bind_channel(channel, peer)
        assert not peers_of(scene.turnpike, scene.client)
    scene.client.bind_channel(0x4001, scene.peer.address)
    for channel, peer in (0x4001, other.address), (0x4002, scene.peer.address):
        with pytest.raises(turn.StunError):
            scene.client.bind_channel(channel, peer)
        assert peers_of(scene.turnpike, scene.client) == {(0x4001, name(scene.peer.address))}
    scene.client.refresh(0)
    scene.check()
