# SPDX-License-Identifier: GPL-2.0-only
"""Every build of the server, and every source that its profile has for an event: the table follows a scripted session
step by step, and channels that were bound earlier are learned. What builds there are: tests/coturn."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from session import LIFETIMES, carried, follow, listed, profile_with_source, sources
from turn import TurnClient, Peer, connect, works
from world import PEER4, ROOT, STOCK_COTURN, TURNPIKE, World, sh, wait_for

BUILDS = ["O0", "O2", "O3", "Os", "lto", "clang"]


def build_of(name):
    path = os.path.join(ROOT, "build", "coturn", name, "turnserver")
    if not os.access(path, os.X_OK):
        pytest.skip(f"no build {name} of coturn (tests/coturn {name} makes it)")
    return path


def resolved(path, *options):
    """`resolve --json`, by event."""
    done = subprocess.run([TURNPIKE, "resolve", "--json", "--no-map", *options, path], stdout=subprocess.PIPE, text=True)
    return {event["event"]: event for event in json.loads(done.stdout)["events"]}


@pytest.fixture
def world():
    with World() as made:
        yield made
        for process in made.processes:
            print(f"\n$ {' '.join(process.args)}\n{process.output()[-2000:]}")


@pytest.mark.parametrize("build", BUILDS)
def test_follows(world, build):
    """Promise 3: in step with the server, whatever compiler made it."""
    coturn = world.start_coturn(build_of(build), extra=LIFETIMES)
    turnpike = world.start_turnpike(coturn.pid).wait_ready()
    assert follow(world, turnpike) is None
    assert turnpike.server()["counters"]["errors"]["lost_events"] == 0
    assert all(observer["failed_reads"] == 0 for observer in turnpike.server()["observers"])
    assert turnpike.stop() == 0


ALTERNATIVES = [(event, number) for event in ("commit", "retire", "allocation_gone", "socket_closed")
                for number in range(1, sources(event))]


@pytest.mark.parametrize("event, number", ALTERNATIVES)
@pytest.mark.parametrize("build", BUILDS)
def test_alternatives(world, build, event, number):
    """Each further source of an event does as well as the first, where a build has it."""
    path = build_of(build)
    profiles = profile_with_source(world.path("profiles"), event, number)
    if not resolved(path, "--profiles", profiles)[event]["probes"]:
        pytest.skip(f"{build} hasn't it: {resolved(path, '--profiles', profiles)[event]['why']}")
    coturn = world.start_coturn(path, extra=LIFETIMES)
    turnpike = world.start_turnpike(coturn.pid, "--profiles", profiles).wait_ready()
    assert follow(world, turnpike) is None
    assert turnpike.stop() == 0


@pytest.mark.parametrize("build", [*BUILDS, "stock"])
def test_learns(world, build):
    """Channels that were there before turnpike forward after one more datagram, with their true end; without any
    datagram too, once the server has walked over its sessions."""
    path = STOCK_COTURN if build == "stock" else build_of(build)
    coturn = world.start_coturn(path, extra=["--max-allocate-timeout=3"])
    channels, silent = connect(world, 4), connect(world, 2, first_id=10)
    time.sleep(3)
    turnpike = world.start_turnpike(coturn.pid).wait_ready()
    assert all(works(channel) for channel in channels)
    assert carried(turnpike, channels) > 0.98
    assert wait_for(lambda: len(listed(turnpike)) == 6, 8), listed(turnpike)
    for binding in turnpike.server()["bindings"]:
        assert 590 <= binding["expires_in_s"] <= 598
    assert all(works(channel) for channel in silent)
    assert turnpike.stop() == 0


def test_learns_ten_thousand(world):
    """10,000 bindings that were there before: the next datagram of each goes to its peer, and all after it go through the
    kernel; learning needs no more of the server's time than it has."""
    coturn = world.start_coturn(ports=(50000, 59999), extra=["-m", "2"])
    clients, peers = [TurnClient(world) for _ in range(50)], [Peer(world) for _ in range(4)]
    for client in clients:
        client.allocate()
        for number in range(200):
            client.bind_channel(0x4000 + number, (PEER4, 1024 + number) if number > 3 else peers[number].address)
    turnpike = world.start_turnpike(coturn.pid).wait_ready()
    for client in clients:
        client.send_channel(0x4000, b"the next datagram")
    assert wait_for(lambda: len(turnpike.server()["bindings"]) == 10_000, 2), len(turnpike.server()["bindings"])
    for client in clients:  # neighbours are known now
        for number in range(4):
            client.send_channel(0x4000 + number, b"warm")
    time.sleep(0.5)
    seen = world.server_datagrams()
    for peer in peers:
        peer.drain()
    for client in clients:
        for number in range(4):
            client.send_channel(0x4000 + number, b"forwarded")
    got = sum(1 for peer in peers for _ in iter(lambda: peer.receive(0.2), None))
    assert got == 4 * len(clients)
    assert world.server_datagrams() - seen < 10
    hot, = [observer for observer in turnpike.server()["observers"]
            if observer["function"] == "send_data_from_ioa_socket_nbh"]
    print(f"{hot['hits']} hits, {hot['mean_ns']} ns each", file=sys.stderr)
    assert turnpike.stop() == 0


TRIXIE = os.path.join(ROOT, "build", "trixie", "root")


def test_trixie(world):
    """Debian 13's stock coturn, by the shipped map; it runs in a root file system of its own."""
    if not os.access(os.path.join(TRIXIE, "build", "stock", "usr", "bin", "turnserver"), os.X_OK):
        pytest.skip("no root of trixie (tests/maps trixie makes it)")
    database = os.path.join(TRIXIE, "tmp", os.path.basename(world.dir))
    shutil.copy(world.database(), database)
    try:
        coturn = world.start_coturn(("chroot", TRIXIE, "/build/stock/usr/bin/turnserver"), extra=LIFETIMES,
                                    database=database[len(TRIXIE):])
        turnpike = world.start_turnpike(coturn.pid).wait_ready()
        symbols = {observer["symbols"] for observer in turnpike.server()["observers"]}
        assert "map" in symbols and "dwarf" not in symbols
        assert follow(world, turnpike) is None
        channels = connect(world, 2, first_id=20)
        assert all(works(channel) for channel in channels)
        assert carried(turnpike, channels) > 0.98
        assert turnpike.stop() == 0
    finally:
        os.unlink(database)
