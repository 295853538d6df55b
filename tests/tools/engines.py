"""What builds and runs images here: Docker or Podman if one answers, else buildah, as a few verbs."""

import configparser
import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import base_images

ROOT = Path(__file__).resolve().parents[2]
STORAGE = ROOT / "target" / "images"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
"""Where the images look for them."""


class Failed(Exception):
    """A step failed; its own output says why."""


class Engine:
    """Docker, or Podman, which takes the same words."""

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, bases: Mapping[str, str]) -> None:
        """Makes sure that the base images can be had. A daemon pulls them itself."""

    def build(self, dockerfile: str, target: str | None, tag: str) -> None:
        """Builds one target from the project's folder."""
        with tempfile.TemporaryDirectory(prefix="images-") as folder:
            options = [*secrets(Path(folder)), *proxies(), *(["--target", target] if target else []), "--tag", tag]
            _run([*self._builder(), "--file", dockerfile, *options, "."])

    def run(self, tag: str, command: Sequence[str], environment: Mapping[str, str], timeout: float) -> tuple[int, str]:
        """Runs a command in a new container of the image; its exit code and standard output."""
        variables = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        return _output([self.name, "run", "--rm", *variables, tag, *command], timeout)

    def command_of(self, tag: str) -> list[str]:
        """What the image runs when nobody says otherwise."""
        return list(self._config(tag)["Cmd"])

    def _config(self, tag: str) -> dict[str, list[str]]:
        return json.loads(_read([self.name, "image", "inspect", tag]))[0]["Config"]

    def _builder(self) -> list[str]:
        return [self.name, "build"]


class Buildah(Engine):
    """Without a daemon and without cgroups: runs in a chroot, on the host's network. Its storage is in `target/`."""

    def __init__(self) -> None:
        super().__init__("buildah")
        os.environ["TMPDIR"] = str(STORAGE / "tmp")  # of the build's caches too
        (STORAGE / "tmp").mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = None
        places = ["--root", str(STORAGE / "storage"), "--runroot", str(STORAGE / "run")]
        drivers = ([self.name, *places, "--storage-driver", driver] for driver in ("overlay", "vfs"))
        self._buildah = next((words for words in drivers if _output([*words, "images"], 60)[0] == 0), None) or []
        if not self._buildah:
            raise Failed("buildah can use neither overlay nor vfs for its storage")

    def prepare(self, bases: Mapping[str, str]) -> None:
        have = _read([*self._buildah, "images", "--format", "{{.Name}}:{{.Tag}}"]).split()
        for kind, image in bases.items():
            if image not in have and _output([*self._buildah, "pull", "--quiet", image], 600)[0] != 0:
                print(f"images: {image} cannot be pulled here; a stand-in of that name is made", flush=True)
                self._import(kind, image)

    def run(self, tag: str, command: Sequence[str], environment: Mapping[str, str], timeout: float) -> tuple[int, str]:
        container = _read([*self._buildah, "from", "--pull-never", f"localhost/{tag}"]).strip()
        variables = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        try:
            return _output(
                [*self._buildah, "run", "--isolation=chroot", *variables, container, "--", *command], timeout
            )
        finally:
            _run([*self._buildah, "rm", container], quiet=True)

    def build(self, dockerfile: str, target: str | None, tag: str) -> None:
        super().build(dockerfile, target, tag)
        # A stage that others only read from stays behind as a container; the storage is ours alone.
        _run([*self._buildah, "rm", "--all"], quiet=True)

    def _config(self, tag: str) -> dict[str, list[str]]:
        return json.loads(_read([*self._buildah, "inspect", "--type", "image", f"localhost/{tag}"]))["Docker"]["config"]

    def _builder(self) -> list[str]:
        return [*self._buildah, "bud", "--isolation=chroot", "--format=docker", "--layers", "--pull-never"]

    def _import(self, kind: str, image: str) -> None:
        container = _read([*self._buildah, "from", "scratch"]).strip()
        try:
            with tempfile.TemporaryDirectory(prefix="base-") as folder:
                try:
                    base_images.MAKERS[kind](Path(folder), ROOT)
                except (OSError, subprocess.SubprocessError) as error:
                    raise Failed(f"a stand-in for {image} cannot be made: {error}") from None
                _run([*self._buildah, "add", "--quiet", container, folder, "/"], quiet=True)
            _run([*self._buildah, "commit", "--quiet", "--format=docker", container, image], quiet=True)
        finally:
            _run([*self._buildah, "rm", container], quiet=True)


def find() -> Engine | None:
    """The engine to use: `CONTAINER_ENGINE` names one, otherwise the first that answers."""
    wanted = os.environ.get("CONTAINER_ENGINE")
    for name in [wanted] if wanted else ["docker", "podman", "buildah"]:
        if name == "buildah" and shutil.which(name):
            return Buildah()
        # The client alone is not enough: `info` asks whether something builds.
        if name != "buildah" and shutil.which(name) and _output([name, "info"], 60)[0] == 0:
            return Engine(name)
    return None


def secrets(folder: Path) -> list[str]:
    """This machine's certificates and its settings of pip and cargo, as secrets of the build."""
    found: dict[str, Path] = {}
    bundle = next((os.environ[name] for name in ("SSL_CERT_FILE", "PIP_CERT") if os.environ.get(name)), None)
    if bundle and Path(bundle).is_file():
        found["ca"] = Path(bundle)
    pip = configparser.RawConfigParser()
    pip.read(["/etc/pip.conf", Path.home() / ".config" / "pip" / "pip.conf", os.environ.get("PIP_CONFIG_FILE", "")])
    settings = {"index-url", "extra-index-url", "trusted-host", "proxy", "retries", "default-timeout"}
    given = {name: os.environ.get("PIP_" + name.replace("-", "_").upper()) for name in settings}
    if "ca" in found:
        given["cert"] = CERTIFICATES
    pip.read_dict({"global": {name: value for name, value in given.items() if value}})
    if pip.has_section("global") and pip.items("global"):
        text = io.StringIO()
        pip.write(text)
        found["pip"] = folder / "pip.conf"
        found["pip"].write_text(text.getvalue())
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "config.toml"
    if cargo.is_file():
        found["cargo"] = cargo
    return [word for name, path in found.items() for word in ("--secret", f"id={name},src={path}")]


def proxies() -> list[str]:
    """The proxy of this machine, by the arguments that every builder knows and no image keeps."""
    names = [name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "no_proxy")]
    return [word for name in names for word in ("--build-arg", f"{name}={os.environ[name]}")]


def _run(command: Sequence[str], *, quiet: bool = False) -> None:
    output = subprocess.DEVNULL if quiet else None
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, check=False).returncode:
        raise Failed(f"failed: {' '.join(command)[:300]}")


def _output(command: Sequence[str], timeout: float) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return 124, f"no end within {timeout:.0f} s"
    return done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr


def _read(command: Sequence[str]) -> str:
    code, text = _output(command, 120)
    if code:
        raise Failed(f"failed: {' '.join(command)[:200]}\n{text[-2000:]}")
    return text
