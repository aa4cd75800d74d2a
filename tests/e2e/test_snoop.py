# SPDX-License-Identifier: GPL-2.0-only
"""Snooping: the main job again with every event learned from packets, on servers that turnpike has no symbols of; and
what an adversary tries, who knows what is looked for.
"""

import pytest

import test_main
from test_main import (attach, clean_up, forwarded, forwards, listed, name)
from turn import Peer, Traffic, TurnClient, connect, works
from world import STOCK_COTURN, World, wait_for


@pytest.fixture
def world(monkeypatch):
    """Every turnpike in it snoops."""
    start = World.start_turnpike
    monkeypatch.setattr(World, "start_turnpike", lambda self, pid, *extra: start(self, pid, "--mode", "snoop", *extra))
    with World() as made:
        yield made
        for process in made.processes:
            print(f"\n$ {' '.join(process.args)}\n{process.output()[-3000:]}")


@pytest.fixture
def binary():
    return STOCK_COTURN


# ---- the main job, all of it that isn't about symbols

for flow in ("main_job", "same_interface", "before_the_response", "attach_detach_under_traffic", "sigterm_leaves_nothing",
             "sigkill_is_harmless", "server_killed", "retire", "refresh_keeps", "only_the_attached_server", "threads",
             "many_channels_of_one_allocation", "control_traffic_passes", "full_table", "status_rises", "churn"):
    globals()[f"test_{flow}"] = getattr(test_main, f"test_{flow}")
