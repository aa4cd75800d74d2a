# SPDX-License-Identifier: GPL-2.0-only
"""Every build of the server, and every source that its profile has for an event: the table follows a scripted session
step by step, and channels that were bound earlier are learned. What builds there are: tests/coturn."""

import json
import os
import subprocess
import time

import pytest

from session import LIFETIMES, carried, follow, listed, profile_with_source, sources
from turn import TurnClient, Peer, connect, works
from world import ROOT, STOCK_COTURN, TURNPIKE, World, sh, wait_for

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
