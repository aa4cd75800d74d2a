# SPDX-License-Identifier: GPL-2.0-only
"""The main job, end to end: real coturn, real clients, real uprobes, real XDP.

Every test says which promise it tests: "promise N" is the N-th of the design (pass by default, indistinguishable, in
step with the server, never to the wrong peer, harmless, bounded, no trust). Nothing here asserts a time but by ratio.
"""

import errno
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

import turn
from turn import Peer, Traffic, TurnClient, connect, works
from world import (PINS, REBUILT_COTURN, RELAY4, REALM, ROOT, SERVER4, STOCK_COTURN, TURNPIKE, USER, World, sh,
                   turnpike_status, wait_for)

UP, DOWN = "upstream", "downstream"


def rebuilt_coturn():
    if not os.access(REBUILT_COTURN, os.X_OK):
        pytest.skip("no rebuilt coturn (tests/coturn makes it)")
    return REBUILT_COTURN


@pytest.fixture(params=["stock", "rebuilt"])
def binary(request):
    """A coturn whose symbols come from the shipped map, and one whose symbols come from its DWARF."""
    return STOCK_COTURN if request.param == "stock" else rebuilt_coturn()


@pytest.fixture
def world():
    with World() as made:
        yield made
        for process in made.processes:  # pytest shows this for a test that failed
            print(f"\n$ {' '.join(process.args)}\n{process.output()[-3000:]}")


def attach(world, coturn, *extra):
    return world.start_turnpike(coturn.pid, *extra).wait_ready()


def forwarded(server):
    return sum(server["counters"]["forwarded"].values())


def clean_up(turnpike):
    assert turnpike.stop() == 0, turnpike.output()


# ---- what a running turnpike holds in the kernel

def held(pid):
    """(program ids, map ids) of all BPF objects that a process holds."""
    programs, maps = set(), set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}") as info:
                for line in info:
                    name, _, value = line.partition(":")
                    {"prog_id": programs, "map_id": maps}.get(name, set()).add(value.strip())
        except OSError:
            continue
    return programs, maps


def still_there(kind, ids):
    return [ident for ident in ids
            if subprocess.run(["bpftool", kind, "show", "id", ident], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0]


def pins():
    """All that is pinned in turnpike's directory."""
    return {os.path.join(path, name) for path, _, names in os.walk(PINS) for name in names}


class Footprint:
    """What turnpike put into the kernel, so that a test can see all of it go."""

    def __init__(self, world, turnpike, pins_before):
        self.world, (self.programs, self.maps) = world, held(turnpike.pid)
        self.pins = pins() - pins_before
        self.interfaces = world.xdp_interfaces()

    def left(self):
        """In words, what is still there."""
        left = [f"XDP on {name}" for name in self.world.xdp_interfaces()]
        left += [f"pin {pin}" for pin in self.pins & pins()]
        left += [f"program {ident}" for ident in still_there("prog", self.programs)]
        return left + [f"map {ident}" for ident in still_there("map", self.maps)]

    def gone_within(self, seconds):
        wait_for(lambda: not self.left(), seconds, 0.05)
        return not self.left()


# ---- the main job

def measured(world, coturn, count):
    """Eight new clients, `count` tagged datagrams each way per client: datagrams relayed, seen, CPU."""
    seen, cpu = world.server_datagrams(), coturn.cpu_ms()
    traffic = Traffic(connect(world, 8)).run(count)
    traffic.check()
    for channel in traffic.channels:
        channel.client.refresh(0)
    return traffic.total(), world.server_datagrams() - seen, coturn.cpu_ms() - cpu


def test_main_job(world, binary):
    """The channel data moves in the kernel: none is lost, the server's sockets see under 2 % of what they see without
    turnpike, and the server needs under 10 % of the CPU time."""
    count = int(os.environ.get("MAIN_JOB_DATAGRAMS", 20_000 if binary == STOCK_COTURN else 2_000))
    coturn = world.start_coturn(binary, extra=["-m", "2"])
    relayed_alone, seen_alone, cpu_alone = measured(world, coturn, count)
    assert seen_alone >= 2 * relayed_alone
    turnpike = attach(world, coturn)
    relayed, seen, cpu = measured(world, coturn, count)
    assert relayed == relayed_alone == 8 * 2 * count
    assert seen < 0.02 * seen_alone
    assert cpu < 0.10 * cpu_alone
    counters = turnpike.server()["counters"]
    assert counters["forwarded"][UP] >= 0.98 * 8 * count and counters["forwarded"][DOWN] >= 0.98 * 8 * count
    clean_up(turnpike)


def test_same_interface(binary):
    """Client and peer behind one interface of the server: the same, out by where it came in."""
    with World(same_interface=True) as world:
        coturn = world.start_coturn(binary)
        turnpike = attach(world, coturn)
        channels = connect(world, 2)
        Traffic(channels).run(20).check()  # while next hops are found
        before = forwarded(turnpike.server())
        traffic = Traffic(channels).run(500)
        traffic.check()
        assert forwarded(turnpike.server()) - before >= 0.99 * traffic.total()  # a neighbour may be news meanwhile
        clean_up(turnpike)


def test_before_the_response(world, binary):
    """Promise 3: a binding forwards before the ChannelBind response leaves: the first datagram doesn't reach the
    server any more."""
    coturn = world.start_coturn(binary)
    turnpike = attach(world, coturn)
    first, = connect(world)
    assert works(first)  # the neighbours are known now
    client, peers = TurnClient(world), [Peer(world) for _ in range(20)]
    client.allocate()
    for number, peer in enumerate(peers):
        client.bind_channel(0x4100 + number, peer.address)
        seen = world.server_datagrams()
        client.send_channel(0x4100 + number, b"first")
        assert peer.receive() == (b"first", client.relay)
        assert world.server_datagrams() == seen, f"channel {number}"
    clean_up(turnpike)


def test_attach_detach_under_traffic(world, binary):
    """Promise 5: starting and stopping costs nothing, not one datagram, ten times under traffic."""
    coturn = world.start_coturn(binary, extra=["-m", "2"])
    channels = connect(world, 8)
    with Traffic(channels) as traffic:
        for turn_number in range(10):
            turnpike = attach(world, coturn)
            for channel in channels:  # a refresh tells turnpike of it
                channel.client.post_bind(channel.number, channel.peer.address)
            assert wait_for(lambda: forwarded(turnpike.server()) > 2000), f"nothing forwarded, turn {turn_number}"
            clean_up(turnpike)
            before = traffic.total()
            assert wait_for(lambda: traffic.total() > before + 500)
    traffic.check()
    assert not world.xdp_interfaces()


def test_sigterm_leaves_nothing(world, binary):
    """SIGTERM: programs, links, maps and pins are gone within a second, and the traffic goes on through the server."""
    coturn = world.start_coturn(binary)
    before = pins()
    turnpike = attach(world, coturn)
    channel, = connect(world)
    assert works(channel)
    footprint = Footprint(world, turnpike, before)
    assert footprint.interfaces == world.server_interfaces() and footprint.programs and footprint.maps
    clean_up(turnpike)
    assert footprint.gone_within(1), footprint.left()
    seen = world.server_datagrams()
    assert works(channel)
    assert world.server_datagrams() - seen >= 4


def test_sigint_is_sigterm(world):
    """Ctrl-C ends it as cleanly."""
    turnpike = attach(world, world.start_coturn())
    assert turnpike.stop(signal.SIGINT) == 0
    assert wait_for(lambda: not world.xdp_interfaces(), 1)


def test_sigkill_is_harmless(world, binary):
    """Promise 5: turnpike killed: nothing is lost, the kernel goes on for as long as the lease lasts, then all is the
    server's; the next start cleans up what was left, and works."""
    coturn = world.start_coturn(binary)
    before = pins()
    turnpike = attach(world, coturn, "--lease", "2")
    channels = connect(world, 2)
    with Traffic(channels) as traffic:
        assert wait_for(lambda: forwarded(turnpike.server()) > 1000)
        footprint = Footprint(world, turnpike, before)
        turnpike.kill()
        seen = world.server_datagrams()
        assert wait_for(lambda: world.server_datagrams() > seen + 1000)
        through = traffic.total()
        assert wait_for(lambda: traffic.total() > through + 500)
    traffic.check()
    seen = world.server_datagrams()
    assert works(channels[0]) and world.server_datagrams() > seen
    turnpike = attach(world, coturn)
    again, = connect(world, first_id=7)
    assert wait_for(lambda: works(again) and forwarded(turnpike.server()) > 0)
    clean_up(turnpike)
    assert footprint.gone_within(1), footprint.left()
    assert pins() <= before


def test_start_sweeps_what_another_left(world):
    """Promise 5: what a killed turnpike left pinned for a server that has ended goes with the next start, for whatever
    server that is."""
    killed, other = world.start_coturn(), world.start_coturn(port=3578, ports=(51000, 51999))
    attach(world, killed).kill()
    killed.kill()
    assert os.path.isdir(os.path.join(PINS, str(killed.pid)))
    turnpike = attach(world, other)
    assert not os.path.exists(os.path.join(PINS, str(killed.pid)))
    clean_up(turnpike)
    assert not os.path.exists(os.path.join(PINS, str(other.pid)))


def send_quietly(channel, payload):
    """The server's machine may answer that nobody is there any more."""
    try:
        channel.client.send_channel(channel.number, payload)
    except ConnectionRefusedError:
        pass


def test_server_killed(world, binary):
    """Promise 5: the server gone, nothing is forwarded for it, at once; `run` ends with 1 and says why."""
    coturn = world.start_coturn(binary)
    turnpike = attach(world, coturn)
    channels = connect(world, 4)
    assert all(works(channel) for channel in channels)
    coturn.kill()
    for channel in channels:
        for _ in range(5):
            send_quietly(channel, b"too late")
        channel.peer.send(b"too late", channel.client.relay)
    assert [channel.peer.receive(0.3) for channel in channels] == [None] * 4
    for channel in channels:
        try:
            assert channel.client.receive(0.2) is None
        except ConnectionRefusedError:
            pass
    assert turnpike.wait(5) == 1
    assert re.search(r"server.*(ended|gone|exited)", turnpike.output()), turnpike.output()
    assert not world.xdp_interfaces()


def forwards(channel):
    """Whether anything gets through a channel, in either direction."""
    channel.client.drain(), channel.peer.drain()
    for _ in range(3):
        send_quietly(channel, b"up")
        channel.peer.send(b"down", channel.client.relay)
    try:
        return bool(channel.peer.receive(0.3) or channel.client.receive(0.3))
    except ConnectionRefusedError:
        return False


def listed(turnpike):
    return {(binding["client"], binding["channel"]) for binding in turnpike.server()["bindings"]}


def name(address):
    return f"{address[0]}:{address[1]}"


def test_retire(world, binary):
    """Promise 3: nothing is forwarded once the server has let go: a channel expired, an allocation given back; and a
    channel number bound anew goes to its new peer."""
    coturn = world.start_coturn(binary, extra=["--channel-lifetime=6", "--permission-lifetime=4"])
    turnpike = attach(world, coturn)
    expires, given_back = connect(world, 2)
    assert works(expires) and works(given_back)
    bound = time.monotonic()
    assert {(name(c.client.address), c.number) for c in (expires, given_back)} <= listed(turnpike)

    given_back.client.refresh(0)
    time.sleep(2.5)
    assert not forwards(given_back)
    assert (name(given_back.client.address), given_back.number) not in listed(turnpike)

    time.sleep(max(0, bound + 8.5 - time.monotonic()))
    assert not forwards(expires)
    assert (name(expires.client.address), expires.number) not in listed(turnpike)

    old, expires.peer = expires.peer, Peer(world)
    expires.bind()
    assert works(expires)
    assert old.receive(0.2) is None
    assert wait_for(lambda: (name(expires.client.address), expires.number) in listed(turnpike))
    clean_up(turnpike)


def test_refresh_keeps(world):
    """Promise 3: a refreshed channel lives on in the kernel past its first lifetime."""
    coturn = world.start_coturn(extra=["--channel-lifetime=4", "--permission-lifetime=4"])
    turnpike = attach(world, coturn)
    channel, = connect(world)
    end = time.monotonic() + 7
    while time.monotonic() < end:
        channel.bind()
        assert works(channel)
        time.sleep(0.5)
    seen = world.server_datagrams()
    assert works(channel) and world.server_datagrams() == seen
    clean_up(turnpike)


def test_only_the_attached_server(world, binary):
    """Another process with the same binary isn't touched."""
    ours = world.start_coturn(binary, ports=(50000, 50499))
    other = world.start_coturn(binary, port=3578, ports=(50500, 50999))
    turnpike = attach(world, ours)
    our_channels = connect(world, 2)
    other_channels = connect(world, 2, server=(SERVER4, 3578), first_id=2)
    seen = world.server_datagrams()
    theirs = Traffic(other_channels).run(200)
    theirs.check()
    assert world.server_datagrams() - seen == 2 * theirs.total()
    seen = world.server_datagrams()
    Traffic(our_channels).run(200).check()
    assert world.server_datagrams() - seen < 40
    server = turnpike.server()
    assert server["pid"] == ours.pid
    assert {binding["client"] for binding in server["bindings"]} == {name(c.client.address) for c in our_channels}
    assert other.alive()
    clean_up(turnpike)


def test_threads(world, binary):
    """Every relay thread of the server is seen."""
    coturn = world.start_coturn(binary, extra=["-m", "4"])
    turnpike = attach(world, coturn)
    channels = connect(world, 40)
    assert listed(turnpike) == {(name(c.client.address), c.number) for c in channels}
    traffic = Traffic(channels, window=2).run(50)
    traffic.check()
    assert forwarded(turnpike.server()) >= 0.95 * traffic.total()
    clean_up(turnpike)


def test_many_channels_of_one_allocation(world):
    """Promise 3: an allocation with many channels retires as a whole."""
    coturn = world.start_coturn()
    turnpike = attach(world, coturn)
    client, peers = TurnClient(world), [Peer(world) for _ in range(100)]
    client.allocate()
    channels = [turn.Channel(client, peer, 0x4000 + number, number).bind() for number, peer in enumerate(peers)]
    assert len(listed(turnpike)) == 100
    assert works(channels[0]) and works(channels[-1])
    client.refresh(0)
    time.sleep(2.5)
    assert not any(forwards(channel) for channel in channels[::25])
    assert wait_for(lambda: not listed(turnpike), 2)
    clean_up(turnpike)


# ---- what isn't ours passes

def test_control_traffic_passes(world):
    """Promise 1: Send indications, Data indications, unknown channels and refreshes are the server's, as before."""
    coturn = world.start_coturn()
    turnpike = attach(world, coturn)
    channel, = connect(world)
    client, stranger = channel.client, Peer(world)
    client.create_permission(stranger.address)
    client.send_indication(stranger.address, b"indication")
    assert stranger.receive() == (b"indication", client.relay)
    stranger.send(b"back", client.relay)
    assert client.receive() == (stranger.address, b"back")
    client.send_channel(0x4ABC, b"nobody bound this")
    assert stranger.receive(0.2) is None and channel.peer.receive(0.2) is None
    assert client.refresh(600) == 600
    assert works(channel)
    clean_up(turnpike)


# ---- bad input

def build_id(path):
    return re.search(r"Build ID: ([0-9a-f]+)", sh("readelf", "-n", path)).group(1)


def refused(world, *args, code, words, command=(TURNPIKE, "run")):
    """It says one line that matches all the words, exits with the code, and leaves nothing attached."""
    before = pins()
    done = subprocess.run([*command, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=20)
    said = done.stderr.strip().splitlines()
    assert len(said) == 1, done.stderr
    assert done.returncode == code, said
    for word in words:
        assert re.search(word, said[0], re.IGNORECASE), f"`{word}` isn't in: {said[0]}"
    assert not world.xdp_interfaces()
    assert pins() <= before


def test_no_such_pid(world):
    refused(world, "--pid", 4_194_303, code=1, words=["4194303"])
    refused(world, "--pid", "many", code=2, words=["many"])
    refused(world, "--pid", 0, code=2, words=["0"])
    refused(world, code=2, words=["--pid"])


def test_not_a_turn_server(world):
    sleeper = world.start("server", "sleep", "60")
    assert wait_for(lambda: "sleep" in os.readlink(f"/proc/{sleeper.pid}/exe"))  # no longer what enters the namespace
    refused(world, "--pid", sleeper.pid, code=1, words=["sleep", "TURN server"])


def test_not_root(world):
    """As nobody, with a copy of the program that nobody may run."""
    coturn = world.start_coturn()
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        program = shutil.copy(TURNPIKE, directory)
        nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program, "run")
        refused(world, "--pid", coturn.pid, code=1, words=["root|privilege|permi|capab"], command=nobody)


def test_unknown_option(world):
    coturn = world.start_coturn()
    refused(world, "--pid", coturn.pid, "--no-such-option", code=2, words=["no-such-option"])
    refused(world, "--pid", coturn.pid, "--hook", "carrier-pigeon", code=2, words=["carrier-pigeon"])
    refused(world, "--pid", coturn.pid, "--max-bindings", "-3", code=2, words=["-3"])
    refused(world, code=2, words=["no-such-command"], command=(TURNPIKE, "no-such-command"))


def test_no_such_interface(world):
    coturn = world.start_coturn()
    refused(world, "--pid", coturn.pid, "--interface", "nope0", code=1, words=["nope0"])


def attach_a_program(world, interface):
    """Somebody else's XDP program, which passes everything; returns its id."""
    source, binary = world.path("pass.c"), world.path("pass.o")
    with open(source, "w") as out:
        out.write('__attribute__((section("xdp"), used)) int pass(void *ctx) { return 2; }\n'
                  'char terms[] __attribute__((section("license"), used)) = "GPL";\n')
    sh("clang", "-O2", "-target", "bpf", "-c", source, "-o", binary)
    sh("ip", "-n", world.server, "link", "set", "dev", interface, "xdp", "obj", binary, "sec", "xdp")
    return world.server_links()[interface]["xdp"]["prog"]["id"]


@pytest.mark.parametrize("interface, options", [("to-client", []), ("to-peer", ["--interface", "to-client,to-peer"])])
def test_interface_with_a_program(world, interface, options):
    """Somebody else's XDP program stays, it is said, and nothing is attached to any interface."""
    coturn = world.start_coturn()
    theirs = attach_a_program(world, interface)
    done = subprocess.run([TURNPIKE, "run", "--pid", str(coturn.pid), *options], stderr=subprocess.PIPE, text=True,
                          timeout=20)
    said = done.stderr.strip().splitlines()
    assert done.returncode == 1 and len(said) == 1, done.stderr
    assert interface in said[0] and "XDP" in said[0]
    assert world.xdp_interfaces() == [interface]
    assert world.server_links()[interface]["xdp"]["prog"]["id"] == theirs


def shipped_map():
    path = os.path.join(ROOT, "symbols", "builds", build_id(STOCK_COTURN) + ".yaml")
    if not os.path.exists(path):
        pytest.skip("no symbol map for the installed coturn")
    with open(path) as text:
        return text.read()


def write_map(world, text, binary=STOCK_COTURN):
    directory = world.path("symbols")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, build_id(binary) + ".yaml"), "w") as out:
        out.write(text)
    return directory


def test_malformed_map(world):
    """Promise 7: a broken symbol map is refused, in every way of being broken."""
    coturn = world.start_coturn()
    for text in "", "server: [coturn\n", "\0\1\2", "- just\n- a list\n", "server: coturn\nevents: 7\n":
        directory = write_map(world, text)
        refused(world, "--pid", coturn.pid, "--symbols", directory, code=1, words=[build_id(STOCK_COTURN)[:8]])


def test_map_for_another_build(world):
    """A map whose build-id isn't the server's is refused, and said."""
    coturn = world.start_coturn()
    text = shipped_map()
    assert build_id(STOCK_COTURN) in text
    directory = write_map(world, text.replace(build_id(STOCK_COTURN), "0" * 40))
    refused(world, "--pid", coturn.pid, "--symbols", directory, code=1, words=["build-id"])


def test_map_for_other_code(world):
    """A map with the right build-id whose fingerprint isn't that of the server's code is refused, and said."""
    coturn = world.start_coturn()
    text, count = re.subn(r"(?m)^(\s*(?:- )?code: *[\"']?)([0-9a-f]{2})",
                          lambda match: f"{match[1]}{int(match[2], 16) ^ 0xFF:02x}", shipped_map(), count=1)
    assert count == 1, "the map's key for code bytes isn't `code`"
    directory = write_map(world, text)
    refused(world, "--pid", coturn.pid, "--symbols", directory, code=1, words=["code|fingerprint"])


def profile_with(world, old, new):
    """A directory with coturn's profile in which one word is another."""
    directory = world.path("profiles")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(ROOT, "symbols", "profiles", "coturn.yaml")) as profile:
        text = profile.read()
    assert old in text
    with open(os.path.join(directory, "coturn.yaml"), "w") as out:
        out.write(text.replace(old, new))
    return directory


@pytest.mark.parametrize("old, new, word", [("function: ", "function: no_such_function_", "no_such_function"),
                                            ("client_socket", "no_such_member", "no_such_member")])
def test_profile_names_what_does_not_exist(world, old, new, word):
    """An event without any source left, where snooping is forbidden."""
    coturn = world.start_coturn(rebuilt_coturn())
    directory = profile_with(world, old, new)
    refused(world, "--pid", coturn.pid, "--mode", "uprobe", "--profiles", directory, code=1, words=[word])


def test_no_symbols(world):
    """A server without symbols and without a map, where snooping is forbidden: what is missing, and what helps."""
    stripped = world.path("turnserver")
    sh("strip", "-o", stripped, rebuilt_coturn())
    sh("objcopy", "--remove-section=.gnu_debuglink", stripped)
    coturn = world.start_coturn(stripped)
    refused(world, "--pid", coturn.pid, "--mode", "uprobe", code=1, words=["symbol|debug", "snoop"])


def test_full_table(world, binary):
    """Promises 5 and 6: the table full, traffic goes on through the server, and a counter says so."""
    coturn = world.start_coturn(binary)
    turnpike = attach(world, coturn, "--max-bindings", "4")
    channels = connect(world, 8)
    traffic = Traffic(channels).run(100)
    traffic.check()
    server = turnpike.server()
    assert len(server["bindings"]) == 4
    assert server["counters"]["errors"]["table_full"] >= 4
    assert 0.4 * traffic.total() < forwarded(server) <= 0.5 * traffic.total()
    for channel in channels:  # and what becomes free is used again
        channel.client.refresh(0)
    time.sleep(2.5)
    again = connect(world, 4, first_id=100)
    Traffic(again).run(50).check()
    assert wait_for(lambda: len(listed(turnpike) & {(name(c.client.address), c.number) for c in again}) == 4)
    clean_up(turnpike)


# ---- status

PASSED = {"no_binding", "control", "fragment", "ip_options", "length", "ttl", "mtu", "no_route", "no_neighbour",
          "heartbeat", "expired"}
BINDING = {"client", "server", "relay", "peer", "channel", "user", "realm", "expires_in_s", UP, DOWN}


def test_status(world, binary):
    """`status --json` keeps its contract, and tells the truth about a binding."""
    coturn = world.start_coturn(binary)
    turnpike = attach(world, coturn)
    channel, = connect(world)
    assert wait_for(lambda: works(channel) and all(turnpike.server()["bindings"][0][way]["packets"]
                                                   for way in (UP, DOWN)))  # next hops are found
    Traffic([channel]).run(100).check()
    channel.client.refresh(600)
    status = turnpike.status()
    assert status["version"] in sh(TURNPIKE, "--version")
    server = turnpike.server()
    assert server["pid"] == coturn.pid
    assert server["exe"] == os.path.realpath(binary)
    assert server["build_id"] == build_id(binary)
    assert server["netns"] == os.stat(f"/proc/{coturn.pid}/ns/net").st_ino
    check_observers(server["observers"], binary)
    assert [interface["name"] for interface in server["interfaces"]] == world.server_interfaces()
    for interface in server["interfaces"]:
        assert set(interface) >= {"name", "ifindex", "hook"}
        assert interface["ifindex"] == world.server_links()[interface["name"]]["ifindex"]
        assert interface["hook"] in ("xdp", "xdp-generic", "tc")
    binding, = server["bindings"]
    check_binding(binding, channel)
    check_counters(server["counters"])
    clean_up(turnpike)
    assert coturn.pid not in [server["pid"] for server in turnpike_status()["servers"]]


def check_observers(observers, binary):
    by_event = {observer["event"]: observer for observer in observers}
    for observer in observers:
        assert set(observer) >= {"event", "source", "function", "offset", "symbols", "hits", "failed_reads", "why"}
    commit = by_event["commit"]
    assert commit["source"] == "uprobe" and commit["function"] == "update_channel_lifetime"
    assert commit["symbols"] == ("map" if binary == STOCK_COTURN else "dwarf")
    assert commit["offset"] > 0 and commit["hits"] >= 1 and commit["failed_reads"] == 0


def check_binding(binding, channel):
    assert set(binding) >= BINDING
    assert binding["client"] == name(channel.client.address)
    assert binding["server"] == f"{SERVER4}:3478"
    assert binding["relay"] == name(channel.client.relay) and binding["relay"].startswith(RELAY4)
    assert binding["peer"] == name(channel.peer.address)
    assert binding["channel"] == channel.number
    assert binding["user"] == USER and binding["realm"] == REALM
    assert 500 < binding["expires_in_s"] <= 600
    for direction in UP, DOWN:
        assert 98 <= binding[direction]["packets"] <= 150
        assert binding[direction]["bytes"] >= 98 * 160


def check_counters(counters):
    assert set(counters["forwarded"]) >= {UP, DOWN, "hairpin"}
    assert set(counters["passed"]) >= PASSED
    assert "policed" in counters["dropped"]
    assert set(counters["errors"]) >= {"redirect", "table_full", "lost_events"}
    assert not any(counters["errors"].values()), counters["errors"]
    assert counters["forwarded"][UP] >= 98 and counters["forwarded"][DOWN] >= 98
    assert counters["passed"]["control"] > 0


def test_status_rises(world):
    """The counters of a binding rise with its traffic, each direction by itself."""
    turnpike = attach(world, world.start_coturn())
    channel, = connect(world)
    assert works(channel)
    before, = turnpike.server()["bindings"]
    for number in range(7):
        channel.client.send_channel(channel.number, b"seven")
        assert channel.peer.receive()
    for number in range(3):
        channel.peer.send(b"three", channel.client.relay)
        assert channel.client.receive()
    after, = turnpike.server()["bindings"]
    assert after[UP]["packets"] - before[UP]["packets"] == 7
    assert after[DOWN]["packets"] - before[DOWN]["packets"] == 3
    clean_up(turnpike)


# ---- churn

CHURN_SECONDS, CHURN_WORKERS, CHURN_CHANNELS = 10, 3, 4


class Churn:
    """One process that makes and gives back allocations as fast as it can, from few local ports and with the same
    channel numbers again and again, so that addresses, ports and memory are reused; every payload says which peer and
    which relayed address it belongs to."""

    def __init__(self, world, worker):
        self.world, self.worker, self.serial = world, worker, 0
        self.peers = [Peer(world) for _ in range(CHURN_CHANNELS)]
        self.wrong, self.delivered, self.sessions = [], 0, 0

    def tag(self, client, index, kind):
        self.serial += 1
        return f"churn {self.worker} {self.serial} {client.relay[1]} {index} {kind}".encode()

    def take(self, client=None):
        """Read what has come at the peers; echo what asks for it."""
        for index, peer in enumerate(self.peers):
            while got := peer.receive(0):
                payload, source = got
                fields = payload.decode(errors="replace").split()
                if fields[:2] != ["churn", str(self.worker)] or fields[4:5] != [str(index)] or \
                   source != (RELAY4, int(fields[3])):
                    self.wrong.append((index, source, payload))
                self.delivered += 1
                if client and fields[5] == "echo" and source == client.relay:
                    peer.send(payload, source)

    def session(self, port, rotation):
        client = TurnClient(self.world, port=port)
        try:
            client.allocate()
            if not client.relay[1]:  # what coturn answers a retransmission after its last port was taken
                return
            bound = {0x4000 + number: (number + rotation) % CHURN_CHANNELS for number in range(CHURN_CHANNELS)}
            for channel, index in bound.items():
                client.bind_channel(channel, self.peers[index].address)
            self.traffic(client, bound)
            client.refresh(0)
            for channel, index in bound.items():  # these may arrive, but nowhere else
                client.send_channel(channel, self.tag(client, index, "late"))
            self.sessions += 1
        except turn.StunError as error:
            if error.code not in (437, 486, 508):  # the 5-tuple or the ports are still in use
                raise
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED,):
                raise
        finally:
            self.world.sockets.remove(client.sock)
            client.close()

    def traffic(self, client, bound):
        expected = {}
        for channel, index in bound.items():
            payload = self.tag(client, index, "echo")
            expected[payload] = channel
            client.send_channel(channel, payload)
        end = time.monotonic() + 1
        while expected and time.monotonic() < end:
            self.take(client)
            got = client.receive(0.002)
            if got is None:
                continue
            if expected.pop(got[1], None) != got[0]:
                self.wrong.append(("client", client.address, got))

    def run(self, seconds):
        end, rotation = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            rotation += 1
            self.session(20000 + 1000 * self.worker + rotation % 600, rotation)
            self.take()
        time.sleep(0.3)
        self.take()
        return self.wrong, self.delivered, self.sessions


def churn(world, worker, seconds, results):
    try:
        results.put(Churn(world, worker).run(seconds))
    except BaseException as failure:
        results.put(([f"worker {worker} failed: {failure!r}"], 0, 0))


def test_churn(world, binary):
    """Promise 4: bindings committed and retired as fast as possible beside live traffic, and not one payload comes out
    at the wrong peer, from the wrong address, at the wrong client or on the wrong channel."""
    coturn = world.start_coturn(binary, extra=["-m", "2"], ports=(50000, 50999))
    turnpike = attach(world, coturn)
    live = connect(world, 4)
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    workers = [fork.Process(target=churn, args=(world, number, CHURN_SECONDS, results), daemon=True)
               for number in range(CHURN_WORKERS)]
    for worker in workers:
        worker.start()
    traffic = Traffic(live).run(seconds=CHURN_SECONDS)
    outcomes = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(10)
    traffic.check()
    for wrong, delivered, sessions in outcomes:
        assert not wrong, wrong[:5]
        assert sessions > 20 and delivered >= sessions * CHURN_CHANNELS
    counters = turnpike.server()["counters"]
    assert counters["errors"]["lost_events"] == 0
    assert sum(counters["forwarded"].values()) >= 0.9 * traffic.total()
    clean_up(turnpike)
    print(outcomes, traffic.summary(), file=sys.stderr)
