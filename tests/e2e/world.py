# SPDX-License-Identifier: GPL-2.0-only
"""A small world in network namespaces: a TURN client's side, a server, a peer's side; coturn and turnpike in it.

    with World() as world:
        server = world.start_coturn()
        turnpike = world.start_turnpike(server.pid)
        turnpike.wait_ready()

Needs root, iproute2, ethtool, sqlite3 and coturn. Everything that a world makes (namespaces, processes, a temporary
directory) goes when it is closed, also on SIGINT, SIGTERM and at the interpreter's exit.
"""

import atexit
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import weakref

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TURNPIKE = os.path.join(ROOT, "build", "turnpike")
STOCK_COTURN = "/usr/bin/turnserver"
REBUILT_COTURN = os.path.join(ROOT, "build", "coturn", "O2", "turnserver")
PION = os.path.join(ROOT, "build", "pion", "pion-server")

CLIENT4, CLIENT6 = "10.77.1.2", "2001:db8:77:1::2"
SERVER4, SERVER6 = "10.77.1.1", "2001:db8:77:1::1"
RELAY4, RELAY6 = "10.77.2.1", "2001:db8:77:2::1"
PEER4, PEER6 = "10.77.2.2", "2001:db8:77:2::2"
USER, PASSWORD, REALM = "u", "p", "turnpike.test"
PINS = "/sys/fs/bpf/turnpike"

SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
SCHEMAS = ("/usr/share/coturn/schema.sql", "/usr/share/doc/coturn/schema.sql.gz", "/usr/share/doc/coturn/schema.sql")

libc = ctypes.CDLL(None, use_errno=True)
worlds = weakref.WeakSet()
serial = iter(range(1_000_000))


def sh(*args, check=True, text=None):
    """Run a command quietly; its output is in the exception when it fails."""
    done = subprocess.run(args, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(args)}: exit {done.returncode}\n{text or ''}{done.stdout}")
    return done.stdout


def wait_for(what, seconds=10.0, step=0.02):
    """Call `what` until it gives something true, and return that; None when the time is over."""
    end = time.monotonic() + seconds
    while True:
        result = what()
        if result:
            return result
        if time.monotonic() > end:
            return None
        time.sleep(step)


def setns(fd):
    if libc.setns(fd, CLONE_NEWNET):
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))


setns_lock = threading.Lock()


def within(namespace, function, *args):
    """Call function(*args) with this thread in the network namespace; sockets made there stay there."""
    with setns_lock, open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        setns(there.fileno())
        try:
            return function(*args)
        finally:
            setns(home.fileno())


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Process:
    """A process of the world, its output in a file."""

    def __init__(self, args, log, pass_fds=()):
        self.args, self.log = args, log
        with open(log, "wb") as out:
            self.popen = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                          preexec_fn=die_with_parent, pass_fds=pass_fds)
        self.pid = self.popen.pid

    def output(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def alive(self):
        return self.popen.poll() is None

    def wait(self, seconds=10):
        """The exit status (negative: the signal that ended it); None when it still runs."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self):
        """SIGKILL, and wait until it is gone."""
        return self.stop(signal.SIGKILL)

    def stop(self, signum=signal.SIGTERM, seconds=10):
        """Send the signal, wait, return the exit status. What doesn't go is killed, and None returned."""
        if self.alive():
            self.popen.send_signal(signum)
        status = self.wait(seconds)
        if status is None:
            self.popen.kill()
            self.popen.wait()
        return status


class Coturn(Process):
    def __init__(self, args, log, port):
        super().__init__(args, log)
        self.port = port

    def cpu_ms(self):
        """CPU time of all its threads so far, in milliseconds (the kernel's exact run time, not ticks)."""
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/schedstat") as schedstat:
                total += int(schedstat.read().split()[0])
        return total / 1e6

    def udp_ports(self):
        """Local ports of all UDP sockets in the server's namespace."""
        ports = []
        for name in "udp", "udp6":
            with open(f"/proc/{self.pid}/net/{name}") as table:
                ports += [int(line.split()[1].rpartition(":")[2], 16) for line in table.readlines()[1:]]
        return ports

    def wait_ready(self, seconds=20):
        if not wait_for(lambda: not self.alive() or self.port in self.udp_ports(), seconds) or not self.alive():
            raise RuntimeError(f"the server doesn't listen:\n{self.output()}")
        return self


class Turnpike(Process):
    def ready(self):
        return any(line.startswith("turnpike: attached") for line in self.output().splitlines())

    def wait_ready(self, seconds=20):
        if not wait_for(lambda: not self.alive() or self.ready(), seconds) or not self.ready():
            raise RuntimeError(f"turnpike isn't ready (exit status {self.popen.poll()}):\n{self.output()}")
        return self

    def status(self):
        return turnpike_status()

    def server(self):
        """What `status --json` says of the one server."""
        pid = int(self.args[self.args.index("--pid") + 1])  # other tests may run beside
        servers = [server for server in self.status()["servers"] if server["pid"] == pid]
        assert len(servers) == 1, servers
        return servers[0]


def turnpike_status():
    done = subprocess.run([TURNPIKE, "status", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"turnpike status: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def remove_stale():
    """Delete what worlds left whose process is gone (it was killed before it could)."""
    for directory in "/run/netns", tempfile.gettempdir():
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            parts = re.fullmatch(r"turnpike-(\d+)(\.\d+)?-\w+", name)
            if not parts or os.path.exists(f"/proc/{parts[1]}"):
                continue
            if directory == "/run/netns":
                sh("ip", "netns", "del", name, check=False)
            else:
                shutil.rmtree(os.path.join(directory, name), ignore_errors=True)


class World:
    """client -- server -- peer, each in a namespace; two veth pairs, or with same_interface one bridge for all.

    forwarding: let the server's kernel route IPv4 (a TURN server doesn't need to). ipv6: give IPv6 addresses too.
    queues: of each veth end.
    """

    def __init__(self, same_interface=False, forwarding=False, ipv6=True, queues=1):
        number = next(serial)
        self.name = f"turnpike-{os.getpid()}" + (f".{number}" if number else "")
        self.client, self.server, self.peer = (f"{self.name}-{side}" for side in ("client", "server", "peer"))
        self.lan = f"{self.name}-lan"
        self.same_interface, self.forwarding, self.ipv6, self.queues = same_interface, forwarding, ipv6, queues
        self.namespaces, self.processes, self.sockets = [], [], []
        self.dir = None
        self.owner = os.getpid()

    # ---- life

    def __enter__(self):
        worlds.add(self)
        remove_stale()
        try:
            self.dir = tempfile.mkdtemp(prefix=f"{self.name}-")
            self.lay_out()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if os.getpid() != self.owner:
            return
        for process in reversed(self.processes):
            if process.alive():
                process.stop(signal.SIGTERM if isinstance(process, Turnpike) else signal.SIGKILL, 5)
        for process in self.processes:  # what killed turnpikes have left
            if os.path.exists(os.path.join(PINS, str(process.pid))):
                sh(TURNPIKE, "stop", "--pid", str(process.pid), check=False)
        for sock in self.sockets:
            sock.close()
        for namespace in self.namespaces:
            sh("ip", "netns", "del", namespace, check=False)
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)
        self.processes, self.sockets, self.namespaces, self.dir = [], [], [], None
        worlds.discard(self)

    # ---- the network

    def ip(self, namespace, *lines):
        sh("ip", "-n", namespace, "-batch", "-", text="\n".join(lines) + "\n")

    def add_namespace(self, name):
        sh("ip", "netns", "add", name)
        self.namespaces.append(name)
        within(name, self.quiet_ipv6)
        self.ip(name, "link set lo up")

    def quiet_ipv6(self):
        for scope in "all", "default":
            self.sysctl_here(f"ipv6/conf/{scope}/accept_dad", 0)
            self.sysctl_here(f"ipv6/conf/{scope}/accept_ra", 0)
            self.sysctl_here(f"ipv6/conf/{scope}/router_solicitations", 0)

    @staticmethod
    def sysctl_here(name, value):
        try:
            with open(f"/proc/sys/net/{name}", "w") as knob:
                knob.write(str(value))
        except FileNotFoundError:
            pass  # a kernel without IPv6

    def sysctl(self, namespace, name, value):
        within(namespace, self.sysctl_here, name, value)

    def addresses(self, device, *addresses):
        for address in addresses:
            if ":" not in address:
                yield f"addr add {address} dev {device}"
            elif self.ipv6:
                yield f"addr add {address} dev {device} nodad"
        yield f"link set {device} up"

    def lay_out(self):
        for namespace in self.client, self.server, self.peer:
            self.add_namespace(namespace)
        if self.same_interface:
            self.lay_out_bridge()
        else:
            self.lay_out_pairs()
        self.ip(self.client, *self.addresses("client0", f"{CLIENT4}/24", f"{CLIENT6}/64"),
                f"route add default via {SERVER4}", *([f"route add default via {SERVER6}"] if self.ipv6 else []))
        self.ip(self.peer, *self.addresses("peer0", f"{PEER4}/24", f"{PEER6}/64"),
                f"route add default via {RELAY4}", *([f"route add default via {RELAY6}"] if self.ipv6 else []))
        self.sysctl(self.server, "ipv4/ip_forward", int(self.forwarding))
        for namespace, device in self.devices():
            self.tune(namespace, device)

    def lay_out_pairs(self):
        queues = "numrxqueues", str(self.queues), "numtxqueues", str(self.queues)
        sh("ip", "link", "add", "client0", "netns", self.client, *queues, "type", "veth",
           "peer", "name", "to-client", "netns", self.server, *queues)
        sh("ip", "link", "add", "peer0", "netns", self.peer, *queues, "type", "veth",
           "peer", "name", "to-peer", "netns", self.server, *queues)
        self.ip(self.server, *self.addresses("to-client", f"{SERVER4}/24", f"{SERVER6}/64"),
                *self.addresses("to-peer", f"{RELAY4}/24", f"{RELAY6}/64"))

    def lay_out_bridge(self):
        """All three on one Ethernet segment: the server reaches both sides over one interface."""
        self.add_namespace(self.lan)
        self.ip(self.lan, "link add br0 type bridge", "link set br0 up")
        for namespace, device in (self.client, "client0"), (self.server, "lan0"), (self.peer, "peer0"):
            sh("ip", "link", "add", device, "netns", namespace, "type", "veth",
               "peer", "name", f"br-{device}", "netns", self.lan)
            self.ip(self.lan, f"link set br-{device} master br0", f"link set br-{device} up")
        self.ip(self.server, *self.addresses("lan0", f"{SERVER4}/24", f"{SERVER6}/64", f"{RELAY4}/24", f"{RELAY6}/64"))

    def devices(self):
        """(namespace, device) of every veth end."""
        ends = [(self.client, "client0"), (self.peer, "peer0")]
        ends += [(self.server, device) for device in self.server_interfaces()]
        if self.same_interface:
            ends += [(self.lan, f"br-{device}") for device in ("client0", "lan0", "peer0")]
        return ends

    def server_interfaces(self):
        return ["lan0"] if self.same_interface else ["to-client", "to-peer"]

    @staticmethod
    def tune(namespace, device):
        """As on a wire: full checksums; and GRO, without which a veth doesn't receive redirected frames."""
        sh("nsenter", f"--net=/run/netns/{namespace}", "ethtool", "-K", device, "gro", "on", "tx", "off")

    def mac(self, side, device):
        link, = json.loads(sh("ip", "-n", getattr(self, side), "-j", "link", "show", "dev", device))
        return link["address"]

    def server_links(self):
        """`ip -j link` of the server's interfaces, by name."""
        links = json.loads(sh("ip", "-n", self.server, "-d", "-j", "link", "show"))
        return {link["ifname"]: link for link in links if link["ifname"] != "lo"}

    def xdp_interfaces(self):
        """The server's interfaces that have an XDP program."""
        return [name for name, link in self.server_links().items() if link.get("xdp")]

    def udp_counters(self):
        """Kernel counters of UDP in the server's namespace (IPv4 and IPv6 together)."""
        return within(self.server, self.udp_counters_here)

    @staticmethod
    def udp_counters_here():
        total = {}
        with open("/proc/thread-self/net/snmp") as snmp:
            lines = [line.split() for line in snmp if line.startswith("Udp:")]
        for key, value in zip(lines[0][1:], lines[1][1:]):
            total[key] = int(value)
        with open("/proc/thread-self/net/snmp6") as snmp6:
            for key, value in (line.split() for line in snmp6):
                if key.startswith("Udp6"):
                    total[key[4:]] = total.get(key[4:], 0) + int(value)
        return total

    def server_datagrams(self):
        """How many datagrams the server's sockets have seen, in and out."""
        counters = self.udp_counters()
        return counters["InDatagrams"] + counters["OutDatagrams"]

    # ---- sockets and processes

    def socket(self, side, address, port=0, kind=socket.SOCK_DGRAM):
        """A socket in the namespace of `side` (client, server or peer), bound, with a large receive buffer."""
        namespace = getattr(self, side)
        sock = within(namespace, socket.socket, family_of(address), kind)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20)
        sock.bind((address, port))
        self.sockets.append(sock)
        return sock

    def path(self, name):
        return os.path.join(self.dir, name)

    def log_path(self, name):
        return self.path(f"{name}.{len(self.processes)}.log")

    def inside(self, side, *args):
        """The command line that runs args in the side's network namespace, under the same pid."""
        return ["nsenter", f"--net=/run/netns/{getattr(self, side)}", *args]

    def start(self, side, *args, name=None):
        """Start any program in a namespace."""
        process = Process(self.inside(side, *args), self.log_path(name or os.path.basename(args[0])))
        self.processes.append(process)
        return process

    def database(self):
        """An empty user database as coturn wants it."""
        path = self.path("turndb.sqlite")
        if not os.path.exists(path):
            schema = next((name for name in SCHEMAS if os.path.exists(name)), None)
            if not schema:
                raise RuntimeError(f"coturn's schema.sql isn't in any of {', '.join(SCHEMAS)}")
            text = sh("zcat", schema) if schema.endswith(".gz") else open(schema).read()
            sh("sqlite3", path, text=text)
        return path

    def start_coturn(self, path=STOCK_COTURN, extra=(), ipv6=False, port=3478, ports=(50000, 50999), verbose=False,
                     database=None):
        """Start a coturn (a path, or words that begin the command line) in the server's namespace and wait until it
        listens."""
        listen, relay = ([SERVER4, SERVER6], [RELAY4, RELAY6]) if ipv6 else ([SERVER4], [RELAY4])
        number = len(self.processes)
        command = [path] if isinstance(path, str) else list(path)
        args = [*command, "-n", "-b", database or self.database(), "-p", str(port), "-a", "-u", f"{USER}:{PASSWORD}", "-r", REALM,
                "--min-port", str(ports[0]), "--max-port", str(ports[1]), "-l", "stdout", "--no-tls", "--no-dtls",
                "--no-cli", "--pidfile", "/dev/null" if database else self.path(f"coturn.{number}.pid")]
        args += [arg for address in listen for arg in ("-L", address)]
        args += [arg for address in relay for arg in ("-E", address)]
        args += ["-v"] if verbose else []
        coturn = Coturn(self.inside("server", *args, *extra), self.log_path("coturn"), port)
        self.processes.append(coturn)
        return coturn.wait_ready()

    def start_pion(self, port=3478, ports=(50000, 50999), listen=(SERVER4,), relay=RELAY4, bind="0.0.0.0", extra=()):
        """Start the server that tests/pion makes, and wait until it listens."""
        args = [PION, "-listen", ",".join(f"{address}:{port}" for address in listen), "-relay", relay, "-bind", bind,
                "-low", str(ports[0]), "-high", str(ports[1]), "-user", f"{USER}:{PASSWORD}", "-realm", REALM]
        pion = Coturn(self.inside("server", *args, *extra), self.log_path("pion"), port)
        self.processes.append(pion)
        return pion.wait_ready()

    def start_turnpike(self, pid, *extra):
        """`turnpike run --pid`, on the machine's own namespaces, as a user does it."""
        return self.run_turnpike("--pid", str(pid), *extra)

    def run_turnpike(self, *args):
        turnpike = Turnpike([TURNPIKE, "run", *args], self.log_path("turnpike"))
        self.processes.append(turnpike)
        return turnpike


def close_all(*_):
    for world in list(worlds):
        world.close()


def on_signal(signum, _frame):
    """Leave through the context managers: SystemExit unwinds them."""
    raise SystemExit(128 + signum)


atexit.register(close_all)
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
    signal.signal(signal.SIGTERM, on_signal)
