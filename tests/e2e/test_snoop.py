# SPDX-License-Identifier: GPL-2.0-only
"""Snooping: the main job again with every event learned from packets, on servers that turnpike has no symbols of; and
what an adversary tries, who knows what is looked for.
"""

import multiprocessing
import os
import re
import time

import pytest

import test_main
from test_main import attach, clean_up, forwarded, forwards, listed, name
from turn import Peer, Traffic, TurnClient, connect, works
from world import PION, STOCK_COTURN, World, sh, wait_for

START_TURNPIKE, START_COTURN = World.start_turnpike, World.start_coturn


def start_turnpike(world, pid, *extra):
    return START_TURNPIKE(world, pid, "--mode", "snoop", *extra)


def start_server(world, path=STOCK_COTURN, extra=(), **options):
    """coturn, or pion's server, whose options are its own."""
    return world.start_pion(**options) if path == PION else START_COTURN(world, path, extra=extra, **options)


@pytest.fixture(autouse=True)
def snooping(monkeypatch):
    """Every turnpike snoops."""
    monkeypatch.setattr(World, "start_turnpike", start_turnpike)
    monkeypatch.setattr(World, "start_coturn", start_server)


@pytest.fixture
def world():
    with World() as made:
        yield made
        for process in made.processes:
            print(f"\n$ {' '.join(process.args)}\n{process.output()[-3000:]}")


def need_pion():
    if not os.access(PION, os.X_OK):
        pytest.skip("no pion server (tests/pion makes it)")


def pion(world, **options):
    need_pion()
    return world.start_pion(**options)


@pytest.fixture(params=["coturn", "pion"])
def binary(request):
    if request.param == "pion":
        need_pion()
    return STOCK_COTURN if request.param == "coturn" else PION


# ---- the main job, all of it that isn't about symbols

for flow in ("main_job", "same_interface", "before_the_response", "attach_detach_under_traffic", "sigterm_leaves_nothing",
             "sigkill_is_harmless", "server_killed", "refresh_keeps", "only_the_attached_server", "threads",
             "many_channels_of_one_allocation", "control_traffic_passes", "status_rises", "churn"):
    globals()[f"test_{flow}"] = getattr(test_main, f"test_{flow}")


def test_retire(world):
    """pion's lifetimes can't be found out; coturn's can."""
    test_main.test_retire(world, STOCK_COTURN)


# ---- which source serves what

def sources(turnpike):
    """Event to its sources; what the kernel tells beside is left out."""
    found = {}
    for observer in turnpike.server()["observers"]:
        if observer["source"] in ("uprobe", "snoop"):
            found.setdefault(observer["event"], set()).add(observer["source"])
    return {event: "+".join(sorted(names)) for event, names in found.items()}


def profile_without(world, *events):
    """A directory with coturn's profile in which the events' functions are such as no server has."""
    directory = test_main.profile_with(world, "server: coturn", "server: coturn")
    path = os.path.join(directory, "coturn.yaml")
    with open(path) as profile:
        head, *blocks = re.split(r"(?m)^(?=  - event: )", profile.read())
    for number, block in enumerate(blocks):
        if re.match(r"  - event: (\w+)", block)[1] in events:
            blocks[number] = re.sub(r"function: \w+", "function: no_such_function", block)
    with open(path, "w") as out:
        out.write(head + "".join(blocks))
    return directory


def auto(world, server, *extra):
    return START_TURNPIKE(world, server.pid, *extra).wait_ready()


EVENTS = ("commit", "retire", "allocation_gone", "socket_closed")


def test_without_symbols(world):
    """A server without symbols and without a map: all is snooped, and it is said why."""
    stripped = world.path("turnserver")
    sh("strip", "-o", stripped, test_main.rebuilt_coturn())
    sh("objcopy", "--remove-section=.gnu_debuglink", stripped)
    turnpike = auto(world, world.start_coturn(stripped))
    channel, = connect(world)
    assert wait_for(lambda: works(channel) and forwarded(turnpike.server()) > 0)
    assert sources(turnpike) == dict.fromkeys(EVENTS, "snoop")
    for observer in turnpike.server()["observers"]:
        if observer["source"] != "snoop":
            continue
        assert "debug information" in observer["why"]
        assert re.search(rf"{observer['event']}: snooped \(.*debug information", turnpike.output())
    clean_up(turnpike)


def test_with_symbols_nothing_is_snooped(world):
    turnpike = auto(world, world.start_coturn())
    assert set(sources(turnpike).values()) == {"uprobe"}
    assert {"commit", "retire", "allocation_gone", "socket_closed"} <= set(sources(turnpike))
    assert "snoop" not in turnpike.server()
    clean_up(turnpike)


@pytest.mark.parametrize("event", ["retire", "allocation_gone"])
def test_mixed(world, event):
    """One event without a symbol is snooped, the others are not, and both meet in one table: no doubles, and each end
    is the end."""
    coturn = world.start_coturn(test_main.rebuilt_coturn(), extra=["--channel-lifetime=6", "--permission-lifetime=4"])
    turnpike = auto(world, coturn, "--profiles", profile_without(world, event, "permission"))
    found = sources(turnpike)
    assert found[event] == "snoop" and {found[other] for other in EVENTS if other != event} == {"uprobe"}
    expires, permitted, given_back = connect(world, 3)
    assert all(works(channel) for channel in (expires, permitted, given_back))
    permitted.client.create_permission(permitted.peer.address)  # coturn takes the channel with it, 4 s from now
    created = time.monotonic()
    assert len(turnpike.server()["bindings"]) == 3
    given_back.client.refresh(0)
    time.sleep(max(0, created + 5.2 - time.monotonic()))
    assert not forwards(given_back) and not forwards(permitted)
    assert {name(given_back.client.address), name(permitted.client.address)}.isdisjoint(
        binding["client"] for binding in turnpike.server()["bindings"])
    time.sleep(max(0, created + 8.5 - time.monotonic()))
    assert not forwards(expires) and not turnpike.server()["bindings"]
    clean_up(turnpike)


def test_commit_snooped_is_retired_by_snooping(world):
    """Packets don't name sessions as the server does: with commit, what ends a session is snooped too."""
    coturn = world.start_coturn(test_main.rebuilt_coturn())
    turnpike = auto(world, coturn, "--profiles", profile_without(world, "commit"))
    assert sources(turnpike) == {"commit": "snoop", "retire": "snoop", "allocation_gone": "snoop",
                                 "socket_closed": "uprobe"}
    one, other = connect(world, 2)
    assert works(one) and works(other)
    one.client.refresh(0)
    assert listed(turnpike) == {(name(other.client.address), other.number)}
    clean_up(turnpike)


# ---- the same table as with probes

def script(world):
    """A session step by step: what turnpike has to know after each."""
    client, peers = TurnClient(world), [Peer(world) for _ in range(50)]
    yield "allocate", client.allocate()
    for number, peer in enumerate(peers):
        client.bind_channel(0x4000 + number, peer.address)
    yield "bind 50", None
    for number, peer in enumerate(peers[:10]):
        client.bind_channel(0x4000 + number, peer.address)
    client.refresh(600)
    yield "refresh", None
    time.sleep(4)
    for number, peer in enumerate(peers[:10]):
        client.bind_channel(0x4000 + number, peer.address)
    time.sleep(4.5)
    yield "expire all but 10", None
    others = [Peer(world) for _ in range(5)]
    for number, peer in enumerate(others):
        client.bind_channel(0x4020 + number, peer.address)
    yield "rebind 5 to others", None
    client.create_permission(peers[0].address)
    yield "permission", None
    time.sleep(5)
    yield "permission over", None
    client.bind_channel(0x4000, peers[0].address)
    yield "bind again", None
    client.refresh(0)
    time.sleep(2.5)
    yield "delete", None


def table(turnpike, client_ports):
    """The bindings, with ports of clients and peers by the order in which they came up."""
    names = client_ports

    def known(address):
        return names.setdefault(address, f"{address.rpartition(':')[0]}#{len(names)}")

    rows = sorted(turnpike.server()["bindings"], key=lambda binding: binding["channel"])
    return [(row["channel"], known(row["client"]), row["server"], known(row["relay"]), known(row["peer"]), row["user"],
             row["realm"]) for row in rows]


def played(mode):
    with World() as world:
        coturn = world.start_coturn(extra=["--channel-lifetime=7", "--permission-lifetime=4"])
        turnpike = START_TURNPIKE(world, coturn.pid, "--mode", mode).wait_ready()
        names = {}
        steps = [(step, table(turnpike, names)) for step, _ in script(world)]
        clean_up(turnpike)
        return steps


def test_same_table():
    """The same session seen by probes and by packets ends in the same table at every step."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        probed, snooped = pool.map(played, ["uprobe", "snoop"])
    for (step, rows), (_, snooped_rows) in zip(probed, snooped):
        assert rows == snooped_rows, step
    assert [len(rows) for _, rows in probed] == [0, 50, 50, 10, 15, 15, 0, 1, 0]
