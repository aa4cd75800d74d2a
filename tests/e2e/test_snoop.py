# SPDX-License-Identifier: GPL-2.0-only
"""Snooping: the main job again with every event learned from packets, on servers that turnpike has no symbols of; and
what an adversary tries, who knows what is looked for.
"""

import os

import pytest

import test_main
from test_main import attach, clean_up, forwarded, forwards, listed, name
from turn import Peer, Traffic, TurnClient, connect, works
from world import PION, STOCK_COTURN, World, wait_for

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


@pytest.fixture(params=["coturn", "pion"])
def binary(request):
    if request.param == "pion" and not os.access(PION, os.X_OK):
        pytest.skip("no pion server (tests/pion makes it)")
    return STOCK_COTURN if request.param == "coturn" else PION


# ---- the main job, all of it that isn't about symbols

for flow in ("main_job", "same_interface", "before_the_response", "attach_detach_under_traffic", "sigterm_leaves_nothing",
             "sigkill_is_harmless", "server_killed", "refresh_keeps", "only_the_attached_server", "threads",
             "many_channels_of_one_allocation", "control_traffic_passes", "status_rises", "churn"):
    globals()[f"test_{flow}"] = getattr(test_main, f"test_{flow}")


def test_retire(world):
    """pion's lifetimes can't be found out; coturn's can."""
    test_main.test_retire(world, STOCK_COTURN)
