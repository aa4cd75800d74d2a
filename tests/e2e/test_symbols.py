# SPDX-License-Identifier: GPL-2.0-only
"""Where the server's program and its debug information may be, what its clock says, and what of its sessions can't be
offloaded at all."""

import os
import shutil
import subprocess
import time

import pytest

from session import carried, listed
from turn import Peer, TurnClient, connect, works
from world import CLIENT4, PEER4, ROOT, SERVER4, STOCK_COTURN, TURNPIKE, World, sh, wait_for

O2 = os.path.join(ROOT, "build", "coturn", "O2", "turnserver")
MOBILITY_TICKET = 0x8030


@pytest.fixture
def world():
    with World() as made:
        yield made
        for process in made.processes:
            print(f"\n$ {' '.join(process.args)}\n{process.output()[-2000:]}")


def rebuilt():
    if not os.access(O2, os.X_OK):
        pytest.skip("no rebuilt coturn (tests/coturn makes it)")
    return O2


def offloads(world, pid, symbols):
    turnpike = world.start_turnpike(pid).wait_ready()
    channels = connect(world, 2)
    assert all(works(channel) for channel in channels)
    assert carried(turnpike, channels) > 0.98
    assert symbols in {observer.get("symbols") for observer in turnpike.server()["observers"]}
    assert turnpike.stop() == 0


def child_of(pid):
    def find():
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return children.read().split()
    return int(wait_for(find)[0])


# ---- where the program is

def test_container(world):
    """A server in its own mount, pid and network namespace, attached by the pid that it has outside; its program and its debug
    file are nowhere in this mount namespace."""
    debug = world.path("turnserver.debug")
    sh("objcopy", "--only-keep-debug", rebuilt(), debug)
    sh("objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", rebuilt(), world.path("stripped"))
    script = ('mount -t tmpfs none /mnt && mkdir /mnt/bin && cp "$1/stripped" /mnt/bin/turnserver && '
              'cp "$1/turnserver.debug" /mnt/bin/ && rm "$1/turnserver.debug" "$1/stripped" && shift && exec "$@"')
    coturn = world.start_coturn(("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", world.dir,
                                 "/mnt/bin/turnserver"))
    server = child_of(coturn.pid)
    assert os.readlink(f"/proc/{server}/exe") == "/mnt/bin/turnserver" and not os.path.exists("/mnt/bin/turnserver")
    offloads(world, server, "dwarf")


@pytest.mark.parametrize("replaced", [False, True])
def test_deleted_executable(world, replaced):
    """A package upgrade takes the program away, or puts another there: the running one is still the one that is read."""
    path = world.path("turnserver")
    shutil.copy(rebuilt(), path)
    coturn = world.start_coturn(path)
    os.unlink(path)
    if replaced:
        shutil.copy("/bin/true", path)
    offloads(world, coturn.pid, "dwarf")


def test_search_order(world):
    """A map in --symbols goes before the installed one, and DWARF comes after maps."""
    def origin(*options, path=STOCK_COTURN):
        said = sh(TURNPIKE, "resolve", *options, path)
        return next(line for line in said.splitlines() if "symbols by" in line)
    directory = world.path("symbols")
    os.makedirs(directory)
    build = sh("readelf", "-n", STOCK_COTURN).split("Build ID: ")[1].split()[0]
    assert f"symbols by map: {ROOT}/symbols/builds/{build}.yaml" in origin()
    shutil.copy(os.path.join(ROOT, "symbols", "builds", f"{build}.yaml"), directory)
    assert f"symbols by map: {directory}/{build}.yaml" in origin("--symbols", directory)
    assert "symbols by dwarf" in origin("--symbols", directory, path=rebuilt())


def test_names_only(world):
    """A symbol table without DWARF: which functions there are, and why that isn't enough."""
    path = world.path("turnserver")
    sh("objcopy", "--strip-debug", rebuilt(), path)
    done = subprocess.run([TURNPIKE, "resolve", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1
    assert "symbol table" in done.stderr and "update_channel_lifetime" in done.stderr


def test_dwz(world):
    """Debug information that dwz has moved to an alternate file, as in Debian's dbgsym packages."""
    if not shutil.which("dwz"):
        pytest.skip("no dwz")
    one, other = world.path("turnserver"), world.path("other")
    shutil.copy(rebuilt(), one), shutil.copy(rebuilt(), other)
    sh("dwz", "-m", world.path("common.debug"), "-M", world.path("common.debug"), one, other)
    said = sh(TURNPIKE, "resolve", one)
    assert "commit: uprobe" in said and "NOT OBSERVABLE" not in said
    os.unlink(world.path("common.debug"))
    said = sh(TURNPIKE, "resolve", one)
    assert "commit: snoop" in said and "common.debug`, which isn't there" in said


# ---- what the server's clock says

def test_clock(world):
    """What the fast path believes of a binding's end is what the server will do, to a second: a ChannelBind gives channel
    and permission the channel's lifetime, a CreatePermission gives the permission its own."""
    coturn = world.start_coturn(extra=["--channel-lifetime=30", "--permission-lifetime=10"])
    turnpike = world.start_turnpike(coturn.pid).wait_ready()
    channel, = connect(world)

    def left():
        return turnpike.server()["bindings"][0]["expires_in_s"]
    assert 29 <= left() <= 30
    time.sleep(2)
    assert 27 <= left() <= 28
    channel.client.create_permission((PEER4, 9))
    assert 9 <= left() <= 10
    channel.bind()
    assert 29 <= left() <= 30
    assert turnpike.stop() == 0


# ---- what can't be offloaded

def not_offloaded(turnpike):
    return {kind: count for kind, count in turnpike.server()["counters"]["not_offloaded"].items() if count}


def test_transport_is_counted(world):
    """A client over TCP is left to the server, and counted."""
    coturn = world.start_coturn()
    turnpike = world.start_turnpike(coturn.pid).wait_ready()
    peer = Peer(world)
    done = subprocess.run(world.inside("client", "timeout", "20", "turnutils_uclient", "-t", "-c", "-n", "3", "-m", "1", "-u", "u", "-w",
                                       "p", "-r", str(peer.address[1]), "-e", PEER4, SERVER4),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert set(not_offloaded(turnpike)) == {"transport"}, done.stdout[-500:]
    assert not listed(turnpike)
    assert turnpike.stop() == 0


@pytest.mark.parametrize("kind, options, extra", [("mobility", ["--mobility"], [(MOBILITY_TICKET, b"")]),
                                                 ("limit", ["--max-bps=1000000"], [])])
def test_sessions_are_counted(world, kind, options, extra):
    """Mobile sessions and such with a bandwidth limit likewise, whether they come before or after turnpike."""
    coturn = world.start_coturn(extra=[*options, "--max-allocate-timeout=3"])

    def session():
        client, peer = TurnClient(world), Peer(world)
        client.allocate(extra=extra)
        client.bind_channel(0x4000, peer.address)
        return client, peer
    session()
    turnpike = world.start_turnpike(coturn.pid).wait_ready()
    assert wait_for(lambda: not_offloaded(turnpike) == {kind: 1}, 8), not_offloaded(turnpike)
    client, peer = session()
    assert not_offloaded(turnpike)[kind] >= 2 and set(not_offloaded(turnpike)) == {kind}
    client.send_channel(0x4000, b"through the server")
    assert peer.receive() == (b"through the server", client.relay)
    assert not listed(turnpike)
    assert turnpike.stop() == 0
