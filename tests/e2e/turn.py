# SPDX-License-Identifier: GPL-2.0-only
"""A TURN client (RFC 8656 over UDP) and a peer, for scripted sessions and for bulk traffic whose every payload is
tagged, so that a lost, doubled or misdelivered datagram is noticed.

    client = TurnClient(world)
    client.allocate()
    client.bind_channel(0x4000, peer.address)
    client.send_channel(0x4000, b"...")
"""

import hashlib
import hmac
import os
import select
import socket
import struct
import threading
import time
import zlib

import world as world_module

MAGIC = 0x2112A442
BINDING, ALLOCATE, REFRESH, SEND, DATA, CREATE_PERMISSION, CHANNEL_BIND = 1, 3, 4, 6, 7, 8, 9
REQUEST, INDICATION, SUCCESS, ERROR = 0x000, 0x010, 0x100, 0x110

USERNAME, INTEGRITY, ERROR_CODE, CHANNEL_NUMBER, LIFETIME = 0x0006, 0x0008, 0x0009, 0x000C, 0x000D
XOR_PEER, DATA_ATTR, REALM, NONCE, XOR_RELAYED = 0x0012, 0x0013, 0x0014, 0x0015, 0x0016
FAMILY, REQUESTED_TRANSPORT, XOR_MAPPED = 0x0017, 0x0019, 0x0020
FINGERPRINT = 0x8028


class StunError(Exception):
    """An error response; `code` is its number."""

    def __init__(self, code, reason=""):
        super().__init__(f"{code} {reason}".strip())
        self.code = code


class NoResponse(Exception):
    pass


# ---- messages

def xor_address(address, transaction):
    host, port = address[:2]
    family = world_module.family_of(host)
    packed = socket.inet_pton(family, host)
    mask = struct.pack("!I", MAGIC) + transaction
    body = bytes(a ^ b for a, b in zip(packed, mask))
    return struct.pack("!BBH", 0, 2 if family == socket.AF_INET6 else 1, port ^ (MAGIC >> 16)) + body


def unxor_address(value, transaction):
    family, port = struct.unpack_from("!xBH", value)
    mask = struct.pack("!I", MAGIC) + transaction
    packed = bytes(a ^ b for a, b in zip(value[4:], mask))
    host = socket.inet_ntop(socket.AF_INET6 if family == 2 else socket.AF_INET, packed)
    return host, port ^ (MAGIC >> 16)


def attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def header(kind, length, transaction):
    return struct.pack("!HHI", kind, length, MAGIC) + transaction


def message(kind, attributes, key=None, transaction=None, fingerprint=False):
    """The bytes of a STUN message; with a key, MESSAGE-INTEGRITY is added."""
    transaction = transaction or os.urandom(12)
    body = b"".join(attribute(number, value) for number, value in attributes)
    if key:
        mac = hmac.new(key, header(kind, len(body) + 24, transaction) + body, hashlib.sha1).digest()
        body += attribute(INTEGRITY, mac)
    if fingerprint:
        crc = zlib.crc32(header(kind, len(body) + 8, transaction) + body) ^ 0x5354554E
        body += attribute(FINGERPRINT, struct.pack("!I", crc))
    return header(kind, len(body), transaction) + body


class Message:
    """A parsed STUN message; attributes by number (the first of each)."""

    def __init__(self, data):
        self.kind, length, magic = struct.unpack_from("!HHI", data)
        self.transaction = data[8:20]
        if magic != MAGIC or length != len(data) - 20:
            raise ValueError("not STUN")
        self.attributes = {}
        at = 20
        while at + 4 <= len(data):
            kind, size = struct.unpack_from("!HH", data, at)
            self.attributes.setdefault(kind, data[at + 4:at + 4 + size])
            at += 4 + size + (-size % 4)

    def error(self):
        value = self.attributes.get(ERROR_CODE)
        if self.kind & 0x110 != ERROR or value is None:
            return None
        return StunError((value[2] & 7) * 100 + value[3], value[4:].decode(errors="replace"))

    def address(self, kind):
        value = self.attributes.get(kind)
        return unxor_address(value, self.transaction) if value else None


def is_channel_data(data):
    return len(data) >= 4 and 0x40 <= data[0] <= 0x7F


def channel_data(channel, payload, pad=False):
    return struct.pack("!HH", channel, len(payload)) + payload + (bytes(-len(payload) % 4) if pad else b"")


# ---- the client and the peer

class TurnClient:
    """One client: a socket, at most one allocation, its permissions and channels."""

    def __init__(self, world, server=(world_module.SERVER4, 3478), local=None, side="client",
                 user=world_module.USER, password=world_module.PASSWORD, port=0):
        self.world, self.user, self.password = world, user, password
        self.server = server
        local = local or (world_module.CLIENT6 if ":" in server[0] else world_module.CLIENT4)
        self.sock = world.socket(side, local, port)
        self.sock.connect(server)
        self.address = self.sock.getsockname()[:2]
        self.realm = self.nonce = self.key = None
        self.relay = self.mapped = None
        self.inbox = []        # what came while a response was waited for
        self.timeout, self.tries = 1.0, 7

    def close(self):
        self.sock.close()

    # requests

    def credentials(self):
        if not self.nonce:
            return []
        return [(USERNAME, self.user.encode()), (REALM, self.realm), (NONCE, self.nonce)]

    def learn_credentials(self, response):
        self.realm, self.nonce = response.attributes[REALM], response.attributes[NONCE]
        self.key = hashlib.md5(b":".join((self.user.encode(), self.realm, self.password.encode()))).digest()

    def request(self, method, attributes):
        """Send a request, authenticate as asked, return the success response; StunError for any other error."""
        for _ in range(4):
            response = self.exchange(message(method, attributes + self.credentials(), self.key))
            error = response.error()
            if not error:
                return response
            if error.code not in (401, 438) or (error.code == 401 and self.key):
                raise error
            self.learn_credentials(response)
        raise error

    def exchange(self, data):
        """Send the request, resend it as RFC 8489 says, return the response to it."""
        for _ in range(self.tries):
            self.sock.send(data)
            response = self.wait_response(data[8:20])
            if response:
                return response
        raise NoResponse(f"no response from {self.server}")

    def wait_response(self, transaction):
        end = time.monotonic() + self.timeout
        while True:
            data = self.receive_raw(end - time.monotonic())
            if data is None:
                return None
            if len(data) >= 20 and data[0] < 0x40 and data[8:20] == transaction:
                return Message(data)
            self.inbox.append(data)

    def receive_raw(self, seconds):
        if not select.select([self.sock], [], [], max(seconds, 0))[0]:
            return None
        return self.sock.recv(65535)

    def allocate(self, family=None, lifetime=None, extra=()):
        """Allocate; returns the relayed transport address."""
        attributes = [(REQUESTED_TRANSPORT, b"\x11\0\0\0"), *extra]
        if family:
            attributes.append((FAMILY, bytes([2 if family == socket.AF_INET6 else 1, 0, 0, 0])))
        if lifetime is not None:
            attributes.append((LIFETIME, struct.pack("!I", lifetime)))
        response = self.request(ALLOCATE, attributes)
        self.relay, self.mapped = response.address(XOR_RELAYED), response.address(XOR_MAPPED)
        return self.relay

    def refresh(self, lifetime=600):
        response = self.request(REFRESH, [(LIFETIME, struct.pack("!I", lifetime))])
        return struct.unpack("!I", response.attributes.get(LIFETIME, b"\0\0\0\0"))[0]

    def create_permission(self, peer):
        self.request_xor(CREATE_PERMISSION, peer[:2])

    def request_xor(self, method, peer, attributes=()):
        """As request, with an XOR-PEER-ADDRESS: masked with the transaction id, so made anew each time."""
        for _ in range(4):
            transaction = os.urandom(12)
            wanted = [*attributes, (XOR_PEER, xor_address(peer, transaction)), *self.credentials()]
            response = self.exchange(message(method, wanted, self.key, transaction))
            error = response.error()
            if not error:
                return response
            if error.code not in (401, 438):
                raise error
            self.learn_credentials(response)
        raise error

    def bind_channel(self, channel, peer):
        """ChannelBind: also its refresh."""
        self.request_xor(CHANNEL_BIND, peer[:2], [(CHANNEL_NUMBER, struct.pack("!HH", channel, 0))])

    def post_bind(self, channel, peer):
        """ChannelBind without waiting for the response: while somebody else reads the socket."""
        transaction = os.urandom(12)
        wanted = [(CHANNEL_NUMBER, struct.pack("!HH", channel, 0)), (XOR_PEER, xor_address(peer[:2], transaction))]
        self.sock.send(message(CHANNEL_BIND, wanted + self.credentials(), self.key, transaction))

    # data

    def send_channel(self, channel, payload, pad=False):
        self.sock.send(channel_data(channel, payload, pad))

    def send_indication(self, peer, payload):
        transaction = os.urandom(12)
        self.sock.send(message(SEND | INDICATION, [(XOR_PEER, xor_address(peer, transaction)), (DATA_ATTR, payload)],
                               transaction=transaction))

    def receive(self, seconds=2.0):
        """The next datagram that isn't a response: (channel number, payload), or (peer address, payload) for a Data
        indication; None when nothing comes."""
        data = self.inbox.pop(0) if self.inbox else self.receive_raw(seconds)
        if data is None:
            return None
        if is_channel_data(data):
            channel, length = struct.unpack_from("!HH", data)
            return channel, data[4:4 + length]
        parsed = Message(data)
        return parsed.address(XOR_PEER), parsed.attributes.get(DATA_ATTR)

    def drain(self):
        """Forget everything received so far."""
        self.inbox.clear()
        while self.receive_raw(0) is not None:
            pass


class Peer:
    """A plain UDP socket on the peer's side."""

    def __init__(self, world, address=world_module.PEER4, port=0, side="peer"):
        self.sock = world.socket(side, address, port)
        self.address = self.sock.getsockname()[:2]

    def close(self):
        self.sock.close()

    def send(self, payload, to):
        self.sock.sendto(payload, to)

    def receive(self, seconds=2.0):
        """(payload, source address), or None."""
        if not select.select([self.sock], [], [], seconds)[0]:
            return None
        payload, source = self.sock.recvfrom(65535)
        return payload, source[:2]

    def drain(self):
        while self.receive(0) is not None:
            pass


class Channel:
    """One channel of one client to one peer, ready for data; `id` tags its payloads."""

    def __init__(self, client, peer, number, ident):
        self.client, self.peer, self.number, self.id = client, peer, number, ident

    def bind(self):
        self.client.bind_channel(self.number, self.peer.address)
        return self


def connect(world, count=1, server=(world_module.SERVER4, 3478), first_id=0, channel=0x4000):
    """`count` clients with an allocation, a peer and a bound channel each."""
    channels = []
    for number in range(count):
        client, peer = TurnClient(world, server), Peer(world)
        client.allocate()
        channels.append(Channel(client, peer, channel + number, first_id + number).bind())
    return channels


def round_trips(channel, more):
    """Microseconds from client to peer and back, one datagram of 160 bytes at a time, while more() says so."""
    times, payload = [], bytes(160)
    while more():
        start = time.perf_counter()
        channel.client.send_channel(channel.number, payload)
        got = channel.peer.receive()
        if not got:
            continue  # lost by a server that can't follow
        channel.peer.send(payload, got[1])
        if channel.client.receive():
            times.append((time.perf_counter() - start) * 1e6)
    return times


def works(channel, seconds=3.0):
    """One datagram each way arrives, at the right end, with the right content."""
    for _ in range(3):                                      # the first ones may be waiting for a neighbour
        channel.client.drain(), channel.peer.drain()
        up, down = os.urandom(40), os.urandom(40)
        channel.client.send_channel(channel.number, up)
        got = channel.peer.receive(seconds)
        if got != (up, channel.client.relay):
            continue
        channel.peer.send(down, got[1])
        if channel.client.receive(seconds) == (channel.number, down):
            return True
    return False


# ---- bulk traffic

TAG = struct.Struct("!4sIIB")
TAG_MAGIC = b"TPke"
UP, DOWN = 1, 2


class Traffic:
    """Tagged datagrams around channels: client -> peer -> client, `window` of each channel under way at a time.

    A datagram that isn't back in `patience` seconds is lost. Misdelivered: one that came out at a socket, from an
    address or on a channel that isn't its own, or with other content. Counts are for round trips.
    """

    def __init__(self, channels, size=160, window=16, patience=5.0):
        self.channels, self.size, self.window, self.patience = list(channels), size, window, patience
        self.filler = {channel.id: hashlib.sha256(b"%d" % channel.id).digest() * (size // 32 + 1)
                       for channel in self.channels}
        self.sent = {channel.id: 0 for channel in self.channels}
        self.received_up = dict(self.sent)
        self.received_down = dict(self.sent)
        self.pending = {channel.id: {} for channel in self.channels}   # sequence number -> when it was sent
        self.lost, self.duplicated, self.other = 0, 0, 0
        self.misdelivered = []
        self.paused = False
        self.stopping = threading.Event()
        self.thread = self.failure = None

    # numbers

    def total(self):
        """Datagrams relayed, both directions together."""
        return sum(self.received_up.values()) + sum(self.received_down.values())

    def summary(self):
        return (f"{sum(self.sent.values())} sent, {self.lost} lost, {self.duplicated} duplicated, "
                f"{len(self.misdelivered)} misdelivered {self.misdelivered[:3]}")

    def check(self):
        """The promise that most tests end with: nothing lost, doubled or misdelivered."""
        assert not self.misdelivered, self.summary()
        assert not self.duplicated, self.summary()
        assert not self.lost, self.summary()

    # one datagram

    def payload(self, ident, sequence, direction):
        head = TAG.pack(TAG_MAGIC, ident, sequence, direction)
        return head + self.filler[ident][:self.size - len(head)]

    def read_tag(self, payload, direction, where, ident):
        """The sequence number, if the payload is what belongs here; else None, and it is noted."""
        if len(payload) == self.size:
            magic, found, sequence, way = TAG.unpack_from(payload)
            if (magic, found, way) == (TAG_MAGIC, ident, direction) and \
               payload[TAG.size:] == self.filler[ident][:self.size - TAG.size]:
                return sequence
        self.misdelivered.append((where, ident, payload[:16]))
        return None

    def fill(self, channel, limit):
        pending = self.pending[channel.id]
        now = time.monotonic()
        while len(pending) < self.window and self.sent[channel.id] < limit:
            sequence = self.sent[channel.id]
            try:
                channel.client.sock.send(channel_data(channel.number, self.payload(channel.id, sequence, UP)))
            except (BlockingIOError, ConnectionRefusedError):
                return
            pending[sequence] = now
            self.sent[channel.id] += 1

    def at_peer(self, channel):
        """Everything that waits at the peer's socket goes back to where it came from."""
        for _ in range(64):
            try:
                payload, source = channel.peer.sock.recvfrom(65535)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                continue
            if source[:2] != tuple(channel.client.relay):
                self.misdelivered.append(("peer", channel.id, source, payload[:16]))
                continue
            sequence = self.read_tag(payload, UP, "peer", channel.id)
            if sequence is None:
                continue
            self.received_up[channel.id] += 1
            channel.peer.sock.sendto(self.payload(channel.id, sequence, DOWN), source)

    def at_client(self, channel):
        for _ in range(64):
            try:
                data = channel.client.sock.recv(65535)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                continue
            if not is_channel_data(data):
                self.other += 1
                continue
            number, length = struct.unpack_from("!HH", data)
            if number != channel.number or length != len(data) - 4:
                self.misdelivered.append(("client", channel.id, number, data[:20]))
                continue
            sequence = self.read_tag(data[4:], DOWN, "client", channel.id)
            if sequence is None:
                continue
            if self.pending[channel.id].pop(sequence, None) is None:
                self.duplicated += 1
                continue
            self.received_down[channel.id] += 1

    def give_up(self, channel):
        """Forget what has been under way for too long."""
        pending, limit = self.pending[channel.id], time.monotonic() - self.patience
        for sequence in [sequence for sequence, sent in pending.items() if sent < limit]:
            del pending[sequence]
            self.lost += 1

    # the loop

    def run(self, count=None, seconds=None):
        """Until each channel has done `count` round trips, for `seconds`, or until stop() is called."""
        limit = count if count is not None else 1 << 31
        end = time.monotonic() + seconds if seconds is not None else None
        with select.epoll() as poll:
            handlers = self.register(poll)
            check_at = time.monotonic() + 0.2
            while not self.done(limit, end):
                if not self.paused and not self.ending(end):
                    for channel in self.channels:
                        self.fill(channel, limit)
                for fd, _ in poll.poll(0.05):
                    handler, channel = handlers[fd]
                    handler(channel)
                if time.monotonic() > check_at:
                    check_at = time.monotonic() + 0.2
                    for channel in self.channels:
                        self.give_up(channel)
        for channel in self.channels:
            channel.client.sock.setblocking(True), channel.peer.sock.setblocking(True)
        return self

    def register(self, poll):
        handlers = {}
        for channel in self.channels:
            for sock, handler in (channel.client.sock, self.at_client), (channel.peer.sock, self.at_peer):
                sock.setblocking(False)
                poll.register(sock, select.EPOLLIN)
                handlers[sock.fileno()] = handler, channel
        return handlers

    def ending(self, end):
        return self.stopping.is_set() or (end is not None and time.monotonic() >= end)

    def done(self, limit, end):
        if any(self.pending.values()):
            return False
        return self.ending(end) or all(sent >= limit for sent in self.sent.values())

    # in the background

    def start(self):
        self.thread = threading.Thread(target=self.run_caught, daemon=True)
        self.thread.start()
        return self

    def run_caught(self):
        try:
            self.run()
        except BaseException as failure:  # told to the caller of stop()
            self.failure = failure

    def stop(self):
        """Let what is under way arrive, then end."""
        self.stopping.set()
        if self.thread:
            self.thread.join()
        if self.failure:
            raise self.failure
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
