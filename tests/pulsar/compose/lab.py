"""A network of its own for the services of a compose file: one network namespace each, on one bridge, with a hosts file.

All of it, the bridge and the names of the namespaces too, is inside namespaces that one keeper process holds: nothing is
visible on the host, and everything is gone as soon as the keeper and the services are.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.pulsar.harness.process import HarnessError, Process, remove_directory, temporary_directory
from tests.pulsar.harness.wait import wait_until

NETWORK = "10.213.7"
TOOLS = ("ip", "unshare", "nsenter", "setpriv", "curl", "java")
# The keeper: `ip netns` names namespaces by files under /run, which is the keeper's own.
KEEPER = f"""
mount -t tmpfs tmpfs /run && mkdir /run/netns
ip link set lo up
ip link add bridge type bridge
ip address add {NETWORK}.1/24 dev bridge
ip link set bridge up
touch "$1"
exec sleep infinity
"""
PROBE = """
mount -t tmpfs tmpfs "$1" && mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
ip link add name bridge type bridge && ip link add name one type veth peer name two
"""


def missing() -> str | None:
    """Why no lab can be made here; None if it can."""
    tools = [tool for tool in TOOLS if shutil.which(tool) is None]
    if tools:
        return f"not found: {', '.join(tools)}"
    folder = temporary_directory("pulsar-lab-")
    try:
        probe = subprocess.run(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", PROBE, "probe", str(folder)],
            capture_output=True,
            text=True,
            timeout=20,
        )
    finally:
        remove_directory(folder)
    if probe.returncode:
        return f"network and mount namespaces are not permitted: {probe.stderr.strip()[-200:]}"
    return None


class Lab:
    """Namespaces by name; `command` makes a command line that runs in one. `close()` ends it."""

    def __init__(self) -> None:
        self.directory = temporary_directory("pulsar-lab-")
        self.hosts = self.directory / "hosts"
        self._addresses: dict[str, str] = {}
        self._visible: set[str] = set()
        self._write_hosts()
        ready = self.directory / "ready"
        command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", KEEPER, "keeper", str(ready)]
        self._keeper = Process("lab", command, {}, self.directory / "lab.log")
        try:
            wait_until("the lab's network", ready.exists, timeout=20, process=self._keeper)
        except BaseException:
            self.close()
            raise

    def add(self, name: str) -> None:
        """A namespace with an address on the bridge. It lives as long as the lab, whatever runs in it."""
        number = len(self._addresses) + 2
        address = self._addresses[name] = f"{NETWORK}.{number}"
        for line in (
            f"ip netns add {name}",
            f"ip link add port{number} type veth peer name eth0 netns {name}",
            f"ip link set port{number} master bridge up",
            f"ip -n {name} link set lo up",
            f"ip -n {name} address add {address}/24 dev eth0",
            f"ip -n {name} link set eth0 up",
        ):
            self._run([*self._inside(), *line.split()])

    def address(self, name: str) -> str:
        """The namespace's address on the bridge."""
        return self._addresses[name]

    def move(self, name: str) -> None:
        """Gives the namespace another address, as a container has that was removed and made again."""
        old = self._addresses[name]
        number = int(old.rpartition(".")[2]) % 100 + 100
        new = self._addresses[name] = f"{NETWORK}.{number}"
        for change in (f"del {old}/24", f"add {new}/24"):
            self._run([*self._inside(), *f"ip -n {name} address {change} dev eth0".split()])
        self._write_hosts()

    def show(self, name: str, visible: bool) -> None:
        """Whether the name resolves. An engine resolves the names of what runs, and no others."""
        (self._visible.add if visible else self._visible.discard)(name)
        self._write_hosts()

    def command(self, name: str, command: Sequence[str]) -> list[str]:
        """The command line that runs a program of the host in the namespace, with the lab's hosts file."""
        script = 'mount --bind "$1" /etc/hosts; cd "$2"; shift 2; exec "$@"'
        enter = [*self._inside(), "ip", "netns", "exec", name, "unshare", "--mount", "--propagation", "private"]
        return [*enter, "sh", "-ec", script, name, str(self.hosts), str(Path.cwd()), *command]

    def enter(self, name: str) -> list[str]:
        """The beginning of a command line in the namespace, for one that makes its own mounts."""
        return [*self._inside(), "ip", "netns", "exec", name]

    def run(
        self, name: str, command: Sequence[str], *, timeout: float, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program of the host in the namespace to its end."""
        return subprocess.run(
            self.command(name, command), capture_output=True, text=True, timeout=timeout, env=environment
        )

    def close(self) -> None:
        self._keeper.kill()
        remove_directory(self.directory)

    def _inside(self) -> list[str]:
        return ["nsenter", "--target", str(self._keeper.pid), "--mount", "--net"]

    def _run(self, command: list[str]) -> None:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20)
        if result.returncode:
            raise HarnessError(f"{' '.join(command)} failed: {result.stderr.strip()}")

    def _write_hosts(self) -> None:
        # In place: every service has this very file as its /etc/hosts.
        lines = [f"{self._addresses[name]} {name}" for name in sorted(self._visible)]
        with Path(self.hosts).open("w") as file:
            file.write("\n".join(["127.0.0.1 localhost", *lines]) + "\n")


class Place:
    """Makes of a command line one that runs in a namespace of the lab, with an environment on top of this process's own."""

    def __init__(self, lab: Lab, name: str, environment: Mapping[str, str] | None = None) -> None:
        self._lab, self._name = lab, name
        self._environment = environment or {}

    def __call__(self, command: list[str]) -> list[str]:
        settings = [f"{name}={value}" for name, value in self._environment.items()]
        return self._lab.command(self._name, ["env", *settings, *command])
