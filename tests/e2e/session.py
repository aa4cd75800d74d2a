# SPDX-License-Identifier: GPL-2.0-only
"""A scripted session in which a channel comes and goes in every way there is, and what a binding table must hold after
each step; and profiles with one source of an event alone. For tests and for the matrix of builds."""

import os
import re
import time

from turn import Peer, Traffic, TurnClient
from world import PEER4, ROOT, wait_for

PROFILE = os.path.join(ROOT, "symbols", "profiles", "coturn.yaml")
# Short enough to be waited for. Options that may be left out need their "=".
LIFETIMES = ["--channel-lifetime=5", "--permission-lifetime=2"]


def listed(turnpike):
    """(client, channel) of all bindings."""
    return {(binding["client"], binding["channel"]) for binding in turnpike.server()["bindings"]}


class Script:
    """run() yields (step, what the table must hold then); the table is to be compared before it goes on."""

    def __init__(self, world):
        self.client, self.peers = TurnClient(world), [Peer(world) for _ in range(3)]

    def table(self, *channels):
        return {(f"{self.client.address[0]}:{self.client.address[1]}", channel) for channel in channels}

    def bind(self, channel):
        self.client.bind_channel(channel, self.peers[channel & 3].address)

    def run(self):
        self.client.allocate()
        yield "allocated", self.table()
        begin = time.monotonic()
        self.bind(0x4000)
        yield "first channel", self.table(0x4000)
        self.bind(0x4001)
        yield "second channel, same peer address", self.table(0x4000, 0x4001)
        time.sleep(max(0, begin + 3 - time.monotonic()))
        self.bind(0x4001)
        yield "one refreshed", self.table(0x4000, 0x4001)
        time.sleep(max(0, begin + 6.5 - time.monotonic()))
        yield "the other's time is over", self.table(0x4001)
        self.bind(0x4001)
        self.client.create_permission((PEER4, 1))
        time.sleep(3.5)
        yield "the permission's time is over", self.table()
        self.bind(0x4002)
        self.bind(0x4000)
        yield "bound again", self.table(0x4000, 0x4002)
        self.client.refresh(0)
        time.sleep(2)
        yield "allocation given back", self.table()


def follow(world, turnpike):
    """Run the script; the first step at which the table isn't what it must be, in words, or None."""
    for step, expected in Script(world).run():
        if not wait_for(lambda: listed(turnpike) == expected, 0.5):
            return f"{step}: the table has {sorted(listed(turnpike))}, not {sorted(expected)}"
    return None


def sources(event):
    """How many sources the profile has for an event."""
    with open(PROFILE) as profile:
        body = re.search(rf"(?ms)^  - event: {event}\n.*?(?=^  - event: |\Z)", profile.read())[0]
    return len(re.findall(r"(?m)^      - probes:", body))


def profile_with_source(directory, event, number):
    """Write a profile in which the event has its number-th source alone (from 0)."""
    with open(PROFILE) as profile:
        text = profile.read()
    found = re.search(rf"(?ms)^  - event: {event}\n.*?(?=^  - event: |\Z)", text)
    parts = re.split(r"(?m)^(?=      - probes:)", found[0])
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "coturn.yaml"), "w") as out:
        out.write(text[:found.start()] + parts[0] + parts[1 + number] + text[found.end():])
    return directory


def carried(turnpike, channels, count=200):
    """Traffic over the channels; the share of it that the kernel relayed. Nothing may be lost."""
    before = sum(turnpike.server()["counters"]["forwarded"].values())
    traffic = Traffic(channels).run(count)
    traffic.check()
    return (sum(turnpike.server()["counters"]["forwarded"].values()) - before) / traffic.total()
