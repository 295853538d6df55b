"""One service of a compose file as a process: its own root of files, as the image, the mounts and the options make it."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from tests.pulsar.compose.files import Service
from tests.pulsar.compose.lab import Lab
from tests.pulsar.harness.process import HarnessError, Process
from tests.pulsar.harness.wait import wait_until

# What the image apachepulsar/pulsar has: the distribution in /pulsar with some folders for user 10000, and names looked up
# again after a second. The rest of the machine stands in for the image's system.
IMAGE = {"JAVA_TOOL_OPTIONS": "-Dsun.net.inetaddr.ttl=1 -Dsun.net.inetaddr.negative.ttl=1", "LANG": "C.UTF-8"}
IMAGE_FOLDERS = ("conf", "data", "logs")
IMAGE_OWNER = "10000:0"


class Container:
    """A service that can be started, killed and started again on its volumes."""

    def __init__(self, service: Service, lab: Lab, distribution: Path) -> None:
        self.service = service
        self._lab = lab
        self._distribution = distribution
        self._root = lab.directory / "roots" / service.name
        self.log = lab.directory / f"{service.name}.log"
        self._process: Process | None = None
        self._environment = {"PATH": os.environ["PATH"], **IMAGE, **service.environment}
        lab.add(service.name)

    @property
    def process(self) -> Process:
        if self._process is None:
            raise HarnessError(f"{self.service.name} is not running")
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.alive()

    def start(self) -> None:
        if self.running:
            raise HarnessError(f"{self.service.name} is running already")
        self._root.mkdir(parents=True, exist_ok=True)
        self._lab.show(self.service.name, True)
        enter = self._lab.enter(self.service.name)
        enter += ["unshare", "--mount", "--uts", "--propagation", "private"]
        command = ["env", "-i", *(f"{name}={value}" for name, value in self._environment.items())]
        command += ["sh", "-c", 'cd /pulsar && exec "$@"', "sh", *self.service.command]
        script = "\n".join(self._mounts()) + '\nexec "$@"'
        chroot = ["chroot", str(self._root / "root"), *self._as_user(), *command]
        self._process = Process(self.service.name, [*enter, "sh", "-ec", script, "sh", *chroot], {}, self.log)
        wait_until(f"{self.service.name} in its root", self._inside, timeout=60, process=self._process)

    def kill(self) -> None:
        """SIGKILL: no goodbye. Volumes stay; the name no longer resolves."""
        self.process.kill()
        self._process = None
        self._lab.show(self.service.name, False)

    def stop(self) -> None:
        """SIGTERM, as the engine ends a container."""
        self.process.stop(timeout=60)
        self._process = None
        self._lab.show(self.service.name, False)

    def execute(self, *command: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, as `docker exec` does."""
        enter = ["nsenter", "--target", str(self.process.pid), "--mount", "--net", "--uts", "--root", "--wd"]
        return subprocess.run(
            [*enter, *self._as_user(), *command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def healthy(self) -> bool:
        """Whether the service's own health check passes; without one, whether it runs."""
        if not self.running:
            return False
        try:
            return not self.service.health or self.execute(*self.service.health).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def memory(self) -> int:
        """The most memory that the process has held, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def _inside(self) -> bool:
        return Path(f"/proc/{self.process.pid}/root").readlink() != Path("/")

    def _as_user(self) -> list[str]:
        if not self.service.user:
            return []
        user, _, group = self.service.user.partition(":")
        options = ["setpriv", f"--reuid={user}", f"--regid={group or user}", "--clear-groups"]
        if "ALL" in self.service.raw.get("cap_drop", ()):
            options += ["--bounding-set=-all", "--inh-caps=-all"]
        if "no-new-privileges:true" in self.service.raw.get("security_opt", ()):
            options.append("--no-new-privs")
        return options

    def _mounts(self) -> list[str]:
        """The shell lines that make the root of files, in a mount namespace that ends with the process."""
        layer, root = self._root, self._root / "root"
        lines = [
            f"hostname {self.service.raw.get('hostname', self.service.name)}",
            f"mount -t tmpfs tmpfs {layer}",
            f"cd {layer} && mkdir up work root pulsar-up pulsar-work",
            f"mount -t overlay overlay -o lowerdir=/,upperdir={layer}/up,workdir={layer}/work {root}",
            f"mkdir -p {root}/pulsar /run/netns",
            f"mount -t overlay overlay -o lowerdir={self._distribution},upperdir={layer}/pulsar-up,"
            f"workdir={layer}/pulsar-work {root}/pulsar",
            f"mount --rbind /dev {root}/dev && mount --rbind /proc {root}/proc && mount --rbind /sys {root}/sys",
        ]
        folders = " ".join(f"{root}/pulsar/{name}" for name in IMAGE_FOLDERS)
        lines.append(f"mkdir -p {folders} && chown {IMAGE_OWNER} {folders}")
        targets = [(self._source(mount.source, volume=mount.is_volume), mount) for mount in self.service.mounts]
        for source, mount in targets:
            make = f"mkdir -p {root}{mount.target}"
            if source.is_file():
                make = f"mkdir -p {Path(f'{root}{mount.target}').parent} && touch {root}{mount.target}"
            lines.append(f"{make} && mount --bind {shlex.quote(str(source))} {root}{mount.target}")
            if mount.read_only:
                lines.append(f"mount -o remount,bind,ro {root}{mount.target}")
        lines.append(f"mount --bind {self._lab.hosts} {root}/etc/hosts")
        for item in self.service.tmpfs:
            target, _, options = item.partition(":")
            # The engine's own defaults, over which the file's options go.
            lines.append(
                f"mkdir -p {root}{target} && mount -t tmpfs -o nosuid,nodev,noexec,{options} tmpfs {root}{target}"
            )
        if self.service.read_only:
            lines += [f"mount -o remount,bind,ro {root}{path}" for path in ("", "/pulsar")]
        return lines

    def _source(self, source: str, *, volume: bool) -> Path:
        if not volume:
            return Path(source)
        folder = self._lab.directory / "volumes" / source
        if not folder.exists():
            folder.mkdir(parents=True)
            # A new volume takes its owner from the image's folder.
            user, group = IMAGE_OWNER.split(":")
            shutil.chown(folder, int(user), int(group))
        return folder
