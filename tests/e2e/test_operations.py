# SPDX-License-Identifier: GPL-2.0-only
"""What an operator sees: metrics, top, log lines, the man page."""

import json
import os
import re
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from test_life import privileges
from test_main import attach, clean_up, forwarded
from turn import Traffic, connect, works
from world import ROOT, TURNPIKE, USER, World, sh, wait_for

MAN = os.path.join(ROOT, "docs", "turnpike.8")


@pytest.fixture
def world():
    with World() as made:
        yield made
        for process in made.processes:
            print(f"\n$ {' '.join(process.args)}\n{process.output()[-3000:]}")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as text:
        return [int(word) for word in text.read().split()]


def test_metrics(world):
    """Prometheus's format, on loopback, from a process without privileges; the same figures as `status`."""
    port = free_port()
    turnpike = attach(world, world.start_coturn(), "--metrics", str(port))
    channel, = connect(world)
    assert wait_for(lambda: works(channel) and forwarded(turnpike.server()) > 2)
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r'turnpike_\w+(\{(\w+="[^"]*",?)+\})? [0-9.e+]+', line), line
    assert "turnpike_servers 1" in lines
    counters = turnpike.server()["counters"]
    for direction in "upstream", "downstream":
        line, = [line for line in lines if line.startswith("turnpike_forwarded_packets_total") and direction in line]
        assert float(line.split()[-1]) == counters["forwarded"][direction]
    assert "do not include" in text
    helper, = children(turnpike.pid)
    assert int(privileges(helper)["CapEff"], 16) == 0 and privileges(helper)["NoNewPrivs"] == "1"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
    clean_up(turnpike)
    assert wait_for(lambda: not os.path.exists(f"/proc/{helper}"), 5)


@pytest.mark.parametrize("where", ["nowhere", "1.2.3.4:5", "127.0.0.1:", "[::1:80", "127.0.0.1:99999"])
def test_metrics_refused(world, where):
    coturn = world.start_coturn()
    done = subprocess.run([TURNPIKE, "run", "--pid", str(coturn.pid), "--metrics", where], stderr=subprocess.PIPE,
                          text=True, timeout=20)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert where in done.stderr and not world.xdp_interfaces()


def test_top(world):
    turnpike = attach(world, world.start_coturn())
    with Traffic(connect(world, 3)) as traffic:
        assert wait_for(lambda: traffic.total() > 1000)
        out = sh(TURNPIKE, "top", "--count", "1", "--interval", "1", "--lines", "2")
    traffic.check()
    lines = out.strip().splitlines()
    assert lines[0].startswith("1 servers, 3 bindings")
    assert len(lines) == 3 + 2
    for line in lines[3:]:
        fields = line.split()
        assert float(fields[4]) > 0 and fields[-1].startswith(USER + "@")
    clean_up(turnpike)


def test_log_in_json(world):
    turnpike = world.start_turnpike(world.start_coturn().pid, "--log-format", "json")
    assert wait_for(lambda: "attached" in turnpike.output(), 20)
    assert turnpike.stop() == 0
    for line in turnpike.output().splitlines():
        said = json.loads(line)
        assert set(said) == {"time", "level", "message"} and said["level"] == "info"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["time"])


def options_of(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def man_section(command):
    """A command's part of the man page, as words."""
    with open(MAN) as page:
        text = page.read()
    part = re.search(rf"^\.SS {command}\n(.*?)(?=^\.S[SH] )", text, re.S | re.M)[1]
    return re.sub(r"\\f.", "", part.replace("\\-", "-"))


def commands():
    return re.findall(r"^  (\w+) ", sh(TURNPIKE, "--help"), re.M)


def test_man_page_has_every_command():
    with open(MAN) as page:
        assert re.findall(r"^\.SS (\w+)", page.read(), re.M) and \
            set(re.findall(r"^\.SS (\w+)", open(MAN).read(), re.M)) == set(commands())


@pytest.mark.parametrize("command", ["run", "status", "top", "stop", "check"])
def test_man_page_has_every_option(command):
    """The man page and --help agree."""
    helped = options_of(sh(TURNPIKE, command, "--help")) - {"--help", "--version", "--usage"}
    assert helped == options_of(man_section(command)) - {"--help"}


def test_man_page_is_well_formed():
    done = subprocess.run(["man", "--warnings", "-l", MAN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "MANPAGER": "cat", "MANROFFOPT": "-ww"})
    assert done.returncode == 0 and not done.stderr, done.stderr
