"""The binary distribution of Apache Pulsar: fetched once through Maven, verified, unpacked into a per-user cache.

Environment: `APACHE_PULSAR_HOME` names an unpacked distribution and turns fetching off;
`APACHE_PULSAR_CACHE` moves the cache (default `$XDG_CACHE_HOME/apache-pulsar`, `~/.cache/apache-pulsar`).
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.pulsar.harness.process import HarnessError

VERSION = "4.0.8"
SHA256 = "35c7d064c9e0928edbf2e708989faba0379662f98aa84ce0d4190c59efb6765e"
ARTIFACT = f"org.apache.pulsar:pulsar-server-distribution:{VERSION}:tar.gz:bin"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"


def distribution() -> Path:
    """The folder of the unpacked distribution, fetched if it is not there yet (about 245 MB, minutes)."""
    given = os.environ.get("APACHE_PULSAR_HOME")
    if given:
        home = Path(given).resolve()
        if not (home / "bin" / "pulsar").is_file():
            raise HarnessError(f"APACHE_PULSAR_HOME={given} holds no bin/pulsar")
        return home
    cache = _cache()
    home = cache / f"apache-pulsar-{VERSION}"
    if not home.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        # Two sessions may start at once; the second waits for the first and finds the work done.
        with (cache / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not home.is_dir():
                _fetch(home)
    return home


def _cache() -> Path:
    given = os.environ.get("APACHE_PULSAR_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "apache-pulsar"


def _fetch(home: Path) -> None:
    if not shutil.which("mvn"):
        raise HarnessError("Maven (mvn) is needed once, to fetch Apache Pulsar; or set APACHE_PULSAR_HOME")
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=home.parent) as folder:
        _maven("get", "-Dtransitive=false")
        _maven("copy", f"-DoutputDirectory={folder}")
        (archive,) = Path(folder).glob("*.tar.gz")
        verify(archive, SHA256)
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        # A rename is atomic: an interrupted fetch never looks like a finished one.
        (Path(folder) / home.name).rename(home)


def _maven(goal: str, *options: str) -> None:
    command = ["mvn", "-B", "-q", f"{PLUGIN}:{goal}", f"-Dartifact={ARTIFACT}", *options]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800)
    if result.returncode:
        raise HarnessError(f"fetching {ARTIFACT} failed: {' '.join(command)}\n{result.stdout}{result.stderr}")


def verify(archive: Path, expected: str) -> None:
    """Raises `HarnessError` unless the file's SHA-256 is the expected one."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise HarnessError(f"{archive.name}: SHA-256 is {found}, expected {expected}; remove it from Maven's cache")
