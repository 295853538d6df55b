"""The project's own Python environment and cargo tools; nothing is installed outside the project's folder.

What is complete carries a stamp, a hash of what it was made from, so that a second run costs milliseconds.
Standard library only, and runs on Python 3.8.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "tests" / "requirements"
CARGO_TOOLS = {
    "cargo-deny": ("0.20.2", ["--no-default-features"]),
    "cargo-fuzz": ("0.13.2", []),
}
DESCRIBE = (
    "import sys, sysconfig; print(sys.version, sys.base_prefix, sysconfig.get_config_var('EXT_SUFFIX'), sep='\\n')"
)


class Failed(Exception):
    """A step of the preparation failed; its own output says why."""


class Venv:
    """One virtual environment: its packages, in groups, and the compiled module."""

    def __init__(self, folder, python):
        self.folder = (ROOT / folder).resolve()
        self._interpreter = python
        described = subprocess.run([python, "-c", DESCRIBE], stdout=subprocess.PIPE, check=True, cwd=str(ROOT))
        self._identity = described.stdout.decode()
        self._suffix = self._identity.split()[-1]

    @property
    def python(self):
        return str(self.folder / "bin" / "python")

    def prepare(self, groups):
        """Makes the environment, if it is not there for this very interpreter, and installs the groups."""
        if self._stamp("venv").read() != _digest([], self._identity):
            self._create()
        for group in groups:
            self._install(group)

    def build_extension(self):
        """Builds the compiled module in release and puts the package on the environment's path."""
        sources = [path for path in sorted((ROOT / "src").rglob("*")) if path.is_file()]
        sources += [ROOT / name for name in ("Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "pyproject.toml")]
        stamp = self._stamp("extension")
        digest = _digest(sources, self._identity)
        if stamp.read() == digest and (ROOT / "python" / "fastapi_pulsar" / ("_core" + self._suffix)).exists():
            return
        say("building fastapi_pulsar._core (release)")
        maturin = [self.python, "-m", "maturin", "develop", "--release", "--locked", "--quiet"]
        run(maturin, VIRTUAL_ENV=str(self.folder), PYO3_PYTHON=self.python)
        stamp.write(digest)

    def _create(self):
        if self.folder.exists():
            if not (self.folder / "pyvenv.cfg").exists() and any(self.folder.iterdir()):
                raise Failed("%s is in the way: it is not a virtual environment" % self.folder)
            shutil.rmtree(str(self.folder))
        say("making %s" % self.folder.name)
        run([self._interpreter, "-m", "venv", str(self.folder)])
        self._stamp("venv").write(_digest([], self._identity))

    def _install(self, group):
        lock = REQUIREMENTS / (group + ".txt")
        stamp = self._stamp(group)
        digest = _digest([lock], self._identity)
        if stamp.read() == digest:
            return
        say("installing %s" % lock.relative_to(ROOT))
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        if group == "lowest":  # beside the others, for PYTHONPATH
            target = self.folder / "lowest"
            shutil.rmtree(str(target), ignore_errors=True)
            pip += ["--target", str(target)]
        run(pip + ["-r", str(lock)])
        stamp.write(digest)

    def _stamp(self, name):
        return Stamp(self.folder / ("complete-" + name))


class Stamp:
    """A file that says from what a finished thing was made."""

    def __init__(self, path):
        self._path = path

    def read(self):
        return self._path.read_text() if self._path.exists() else None

    def write(self, digest):
        self._path.write_text(digest)


def cargo_tool(name):
    """Builds a pinned cargo subcommand into `.tools/`."""
    version, options = CARGO_TOOLS[name]
    tools = ROOT / ".tools"
    stamp = Stamp(tools / ("complete-" + name))
    if stamp.read() == version and (tools / "bin" / name).exists():
        return
    say("building %s %s into .tools (once, some minutes)" % (name, version))
    target = str(ROOT / "target" / "tools")
    command = ["cargo", "install", "--quiet", "--locked", "--root", str(tools), "--version", "=" + version]
    run(command + options + [name], CARGO_TARGET_DIR=target)
    shutil.rmtree(target, ignore_errors=True)
    stamp.write(version)


def say(text):
    sys.stderr.write("setup: %s\n" % text)
    sys.stderr.flush()


def run(command, **variables):
    """Runs a command that is silent when all is well: its ordinary output is not for people."""
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    try:
        subprocess.run(command, check=True, cwd=str(ROOT), env=dict(os.environ, **variables), **silent)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed("%s failed (%s)" % (" ".join(map(str, command)), type(error).__name__))


def _digest(files, identity):
    digest = hashlib.sha256(identity.encode())
    for path in files:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
