# SPDX-License-Identifier: GPL-2.0-only
"""What may happen in a year: turnpike killed, started again, upgraded, stopped; the server killed, replaced by another
program, dumped; its sockets closed. Nothing of it costs a call, and nothing is forwarded that the server has let go."""

import os
import re
import signal
import stat
import subprocess
import time

import pytest

from test_main import attach, clean_up, forwarded, held, pins, still_there
from turn import Traffic, TurnClient, connect, works
from world import PINS, ROOT, STOCK_COTURN, TURNPIKE, World, sh, turnpike_status, wait_for

PROFILE = os.path.join(ROOT, "symbols", "profiles", "coturn.yaml")


@pytest.fixture
def world():
    with World() as made:
        yield made
        for process in made.processes:
            print(f"\n$ {' '.join(process.args)}\n{process.output()[-3000:]}")


def folder(coturn):
    return os.path.join(PINS, str(coturn.pid))


def relayed_by_server(world, traffic, seconds=1.0):
    """The share of the datagrams that the server's sockets see, over a while."""
    seen, total = world.server_datagrams(), traffic.total()
    assert wait_for(lambda: traffic.total() > total + 2000, 20)
    time.sleep(seconds)
    return (world.server_datagrams() - seen) / (traffic.total() - total)


# ---- turnpike killed and started again

def test_outlives_sigkill(world):
    """Killed under traffic, everything goes on in the kernel, new bindings and ends of old ones too; the next start
    adopts it; not one datagram is lost."""
    coturn = world.start_coturn()
    turnpike = attach(world, coturn)
    channels = connect(world, 4)
    with Traffic(channels) as traffic:
        assert wait_for(lambda: forwarded(turnpike.server()) > 1000)
        turnpike.kill()
        assert relayed_by_server(world, traffic) < 0.05
        late, = connect(world, first_id=9)
        gone, = connect(world, first_id=11)
        assert works(late) and works(gone)
        gone.client.refresh(0)
        turnpike = attach(world, coturn)
        assert "adopted" in turnpike.output()
        assert wait_for(lambda: relayed_by_server(world, traffic, 0.2) < 0.05, 20)
        ends = {binding["client"] for binding in turnpike.server()["bindings"]}
    traffic.check()
    wanted = {"%s:%d" % channel.client.address[:2] for channel in [*channels, late]}
    assert wait_for(lambda: {binding["client"] for binding in turnpike.server()["bindings"]} == wanted), (ends, wanted)
    seen = world.server_datagrams()
    for _ in range(20):
        assert works(late)
    assert world.server_datagrams() - seen < 20
    clean_up(turnpike)
    assert not os.path.exists(folder(coturn)) and not world.xdp_interfaces()


def test_killed_again_and_again(world):
    """Ten times, under traffic: none is lost, and nothing piles up in the kernel."""
    coturn = world.start_coturn()
    turnpike = attach(world, coturn)
    with Traffic(connect(world, 2)) as traffic:
        names, programs = None, None
        for _ in range(10):
            assert wait_for(lambda: forwarded(turnpike.server()) > 0)
            turnpike.kill()
            turnpike = attach(world, coturn)
            count = len(held(turnpike.pid)[0])
            assert programs in (None, count)
            assert names in (None, pins() & set(all_pins(coturn)))
            names, programs = pins() & set(all_pins(coturn)), count
    traffic.check()
    clean_up(turnpike)


def all_pins(coturn):
    return [os.path.join(folder(coturn), name) for name in os.listdir(folder(coturn))]


def test_lease(world):
    """Without turnpike for longer than the lease, all is the server's; nothing is lost, and the next start has it back."""
    coturn = world.start_coturn()
    turnpike = attach(world, coturn, "--lease", "1")
    with Traffic(connect(world, 2)) as traffic:
        assert wait_for(lambda: forwarded(turnpike.server()) > 1000)
        turnpike.popen.send_signal(signal.SIGSTOP)
        assert wait_for(lambda: relayed_by_server(world, traffic, 0.1) > 0.9, 20)
        turnpike.popen.send_signal(signal.SIGCONT)
        assert wait_for(lambda: relayed_by_server(world, traffic, 0.1) < 0.05, 20)
        turnpike.kill()
        assert wait_for(lambda: relayed_by_server(world, traffic, 0.1) > 0.9, 20)
        turnpike = attach(world, coturn)
        assert wait_for(lambda: relayed_by_server(world, traffic, 0.1) < 0.05, 20)
    traffic.check()
    clean_up(turnpike)


def test_pins_are_for_root_alone(world):
    coturn = world.start_coturn()
    turnpike = attach(world, coturn)
    for path in PINS, folder(coturn):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    clean_up(turnpike)


def test_another_layout_is_replaced(world):
    """What doesn't fit is not adopted; nothing is lost by that either."""
    coturn = world.start_coturn()
    attach(world, coturn, "--max-bindings", "100").kill()
    with Traffic(connect(world, 2)) as traffic:
        turnpike = attach(world, coturn, "--max-bindings", "200")
        assert "adopted" not in turnpike.output()
        assert wait_for(lambda: traffic.total() > 1000)
    traffic.check()
    late, = connect(world, first_id=9)
    assert wait_for(lambda: works(late) and forwarded(turnpike.server()) > 0)
    clean_up(turnpike)


def test_snooping_does_not_outlive(world):
    """Who snoops knows sessions that nobody else does: killed, everything is the server's at once, without a loss; so it is
    with what an earlier run had pinned."""
    coturn = world.start_coturn()
    attach(world, coturn).kill()
    turnpike = attach(world, coturn, "--mode", "snoop")
    assert not os.path.exists(folder(coturn))
    with Traffic(connect(world, 2)) as traffic:
        assert wait_for(lambda: forwarded(turnpike.server()) > 1000)
        turnpike.kill()
        assert wait_for(lambda: not world.xdp_interfaces(), 1)
        assert relayed_by_server(world, traffic, 0.1) > 0.9
    traffic.check()
    turnpike = attach(world, coturn)
    clean_up(turnpike)


@pytest.mark.parametrize("killed", [False, True])
def test_stop(world, killed):
    """`turnpike stop` ends what runs and removes what was left, under traffic, without a loss."""
    coturn = world.start_coturn()
    turnpike = attach(world, coturn)
    programs, maps = held(turnpike.pid)
    with Traffic(connect(world, 2)) as traffic:
        assert wait_for(lambda: forwarded(turnpike.server()) > 1000)
        if killed:
            turnpike.kill()
        sh(TURNPIKE, "stop", "--pid", str(coturn.pid))
        assert not os.path.exists(folder(coturn)) and not world.xdp_interfaces()
        assert relayed_by_server(world, traffic, 0.1) > 0.9
    traffic.check()
    assert killed or turnpike.wait() == 0
    assert wait_for(lambda: not still_there("prog", programs) and not still_there("map", maps), 2)
    refused = subprocess.run([TURNPIKE, "stop", "--pid", str(coturn.pid)], stderr=subprocess.PIPE, text=True)
    assert refused.returncode == 1 and len(refused.stderr.strip().splitlines()) == 1


# ---- what the kernel tells

def profile_without_socket_probes(world):
    """coturn's profile, but with nothing of it telling of closed sockets; the session's end is looked for in a function
    that runs later, so that only the kernel can tell that a relay socket is gone."""
    directory = world.path("profiles")
    os.makedirs(directory, exist_ok=True)
    with open(PROFILE) as text:
        profile = text.read()
    profile = re.sub(r"\bclose_ioa_socket\b|\bdetach_ioa_socket\b", "no_such_function", profile)
    with open(os.path.join(directory, "coturn.yaml"), "w") as out:
        out.write(profile)
    return directory


def sockets_observer(turnpike):
    return [observer for observer in turnpike.server()["observers"]
            if observer["event"] == "socket_closed" and observer["symbols"] == "kernel"][0]


@pytest.mark.parametrize("source", ["fentry", "cgroup", "sock_diag"])
def test_closed_sockets(world, source):
    """A relay socket that the server closes is seen in the kernel, by each of the ways there are."""
    coturn = world.start_coturn()
    turnpike = world.start_turnpike(coturn.pid, "--sockets", source)
    assert wait_for(lambda: turnpike.ready() or not turnpike.alive())
    if not turnpike.ready() and source == "fentry" and "Operation not permitted" in turnpike.output():
        pytest.skip("this kernel refuses fentry")
    turnpike.wait_ready()
    observer = sockets_observer(turnpike)
    assert observer["source"] == source and observer["hits"] == 0
    channels = connect(world, 3)
    assert all(works(channel) for channel in channels)
    channels[0].client.refresh(0)
    assert wait_for(lambda: len(turnpike.server()["bindings"]) == 2)
    assert wait_for(lambda: socket_events(turnpike) >= 1)
    assert all(works(channel) for channel in channels[1:])
    clean_up(turnpike)


def socket_events(turnpike):
    return sum(observer["hits"] for observer in turnpike.server()["observers"] if observer["event"] == "socket_closed")


def test_source_of_sockets_is_refused(world):
    coturn = world.start_coturn()
    done = subprocess.run([TURNPIKE, "run", "--pid", str(coturn.pid), "--sockets", "magic"], stderr=subprocess.PIPE,
                          text=True)
    assert done.returncode == 2 and "magic" in done.stderr


def ended(turnpike):
    assert turnpike.wait(10) == 1, turnpike.output()
    return turnpike.output().strip().splitlines()[-1]


def test_crash_counts_as_gone(world):
    """From the deadly signal on, with the core not even begun, nothing is forwarded for the server."""
    coturn = world.start_coturn()
    turnpike = attach(world, coturn)
    channel, = connect(world)
    assert works(channel)
    os.kill(coturn.pid, signal.SIGSEGV)
    assert "has ended" in ended(turnpike)
    assert not world.xdp_interfaces() and not os.path.exists(folder(coturn))


# ---- following the server

def program_copy(world, name):
    """coturn under a name that nobody else's server has."""
    path = world.path(name)
    if not os.path.exists(path):
        sh("cp", STOCK_COTURN, path)
    return path


def served(pids):
    return {server["pid"] for server in turnpike_status()["servers"]} >= set(pids)


def test_follows_by_name(world):
    """Waits for the server, follows it over restarts, serves several at once (each on its own machine's network, as in
    containers); each gone one is dropped at once."""
    name = f"turn{os.getpid()}"
    path = program_copy(world, name)
    turnpike = world.run_turnpike("--name", name)
    assert wait_for(lambda: "waiting" in turnpike.output())
    first = world.start_coturn(path)
    with World() as elsewhere:
        second = elsewhere.start_coturn(path)
        assert wait_for(lambda: served([first.pid, second.pid]), 20)
        assert offloads(world, first) and offloads(elsewhere, second)
        first.kill()
        assert wait_for(lambda: not os.path.exists(folder(first)), 5)
        again = world.start_coturn(path)
        assert wait_for(lambda: served([again.pid, second.pid]), 5)
        assert offloads(world, again) and offloads(elsewhere, second)
        assert turnpike.stop() == 0, turnpike.output()
        assert not os.path.exists(folder(again)) and not os.path.exists(folder(second))
        assert not world.xdp_interfaces() and not elsewhere.xdp_interfaces()


def offloads(world, coturn):
    before = by_pid(coturn)["counters"]["forwarded"]["upstream"]
    channel, = connect(world)
    return wait_for(lambda: works(channel) and by_pid(coturn)["counters"]["forwarded"]["upstream"] > before)


def by_pid(coturn):
    return [server for server in turnpike_status()["servers"] if server["pid"] == coturn.pid][0]


def test_several_pids(world):
    """Two servers in one turnpike; when both have ended, so has it."""
    with World() as elsewhere:
        first, second = world.start_coturn(), elsewhere.start_coturn()
        turnpike = world.run_turnpike("--pid", str(first.pid), "--pid", str(second.pid))
        assert wait_for(lambda: served([first.pid, second.pid]), 20)
        first.kill()
        assert wait_for(lambda: not os.path.exists(folder(first)), 5) and served([second.pid])
        second.kill()
        assert "ended" in ended(turnpike)


def test_follower_killed(world):
    """SIGKILL ends all of turnpike's processes; what they left is adopted."""
    name = f"turn{os.getpid()}"
    coturn = world.start_coturn(program_copy(world, name))
    turnpike = world.run_turnpike("--name", name)
    assert wait_for(lambda: served([coturn.pid]), 20)
    with Traffic(connect(world, 2)) as traffic:
        assert wait_for(lambda: by_pid(coturn)["counters"]["forwarded"]["upstream"] > 1000)
        turnpike.kill()
        assert wait_for(lambda: not turnpike_status()["servers"], 5)
        assert relayed_by_server(world, traffic) < 0.05
        turnpike = world.run_turnpike("--name", name)
        assert wait_for(lambda: served([coturn.pid]), 20)
        assert "adopted" in turnpike.output()
    traffic.check()
    clean_up(turnpike)


def test_drain_and_rotation_are_no_event(world):
    """coturn's own signals (reload: SIGHUP, rotation) change nothing for turnpike."""
    coturn = world.start_coturn()
    turnpike = attach(world, coturn)
    with Traffic(connect(world, 2)) as traffic:
        assert wait_for(lambda: forwarded(turnpike.server()) > 1000)
        os.kill(coturn.pid, signal.SIGHUP)
        os.kill(coturn.pid, signal.SIGUSR2)
        assert relayed_by_server(world, traffic, 0.3) < 0.05
    traffic.check()
    clean_up(turnpike)


# ---- privileges

CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF = 12, 38, 39


def privileges(pid):
    with open(f"/proc/{pid}/status") as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def test_gives_up_privileges(world):
    """Attached, it may look after what it has attached, and nothing else; and it works like that."""
    coturn = world.start_coturn()
    turnpike = attach(world, coturn)
    mine = privileges(turnpike.pid)
    allowed = 1 << CAP_NET_ADMIN | 1 << CAP_PERFMON | 1 << CAP_BPF
    for kind in "CapEff", "CapPrm", "CapInh", "CapAmb":
        assert int(mine[kind], 16) & ~allowed == 0, kind
    assert mine["NoNewPrivs"] == "1" and mine["Seccomp"] == "2"
    channel, = connect(world)  # the peer's interface is attached to, routes and neighbours looked up, only now
    assert wait_for(lambda: works(channel) and forwarded(turnpike.server()) > 0)
    assert "denied" not in turnpike.output() and "not permitted" not in turnpike.output()
    clean_up(turnpike)
    assert not os.path.exists(folder(coturn)) and not world.xdp_interfaces()
