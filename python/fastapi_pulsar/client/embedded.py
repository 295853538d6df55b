"""`embedded://name` and `embedded:///path`: a broker in this process, started by the first who needs it, shared by all.

It lives as long as the process. Another process has another broker, so several workers on one such URL are warned.
"""

import atexit
import hashlib
import os
import sys
import tempfile
import threading
import warnings
from pathlib import Path

from ..broker import EmbeddedBroker
from ..exceptions import DataDirInUseError

if sys.platform != "win32":
    import fcntl

SCHEME = "embedded://"
_ONE_FOR_ALL = (
    "every process has an embedded broker of its own: start one for all of them with `python -m fastapi_pulsar broker` and "
    "set PULSAR_SERVICE_URL to the URL that it prints"
)

_brokers: dict[str, EmbeddedBroker] = {}
_marks: dict[str, int] = {}
_lock = threading.Lock()


class EmbeddedBrokerWarning(UserWarning):
    """Several processes use embedded brokers of one name, which know nothing of each other."""


def resolved(url: str) -> str:
    """The URL to connect to: of `embedded://…` that of the broker, which is started if it does not run yet.

    Raises:
        DataDirInUseError: Another process uses the folder.
    """
    return broker(url).service_url if url.startswith(SCHEME) else url


def broker(url: str) -> EmbeddedBroker:
    """The broker of an `embedded://…` URL; started if it does not run yet.

    Raises:
        DataDirInUseError: Another process uses the folder.
    """
    place = url.removeprefix(SCHEME)
    key = os.path.realpath(place) if place.startswith("/") else place
    with _lock:
        if key not in _brokers:
            _brokers[key] = _started(key)
        return _brokers[key]


def _started(place: str) -> EmbeddedBroker:
    if not place.startswith("/"):
        _warn_of_siblings(place)
        return EmbeddedBroker()
    try:
        return EmbeddedBroker(data_dir=place)
    except DataDirInUseError as error:
        raise DataDirInUseError(f"{error}; {_ONE_FOR_ALL}") from None


def _warn_of_siblings(name: str) -> None:
    """Workers of one server have one parent. A locked file that names it tells of the others, and goes with the process."""
    if sys.platform == "win32" or name in _marks:
        return
    digest = hashlib.sha256(f"{os.getuid()} {os.getppid()} {name}".encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"fastapi-pulsar-{digest}.lock"
    try:
        mark = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return  # nowhere to leave a mark: nothing to warn of
    _marks[name] = mark
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        warnings.warn(
            f"another process that was started with this one uses {SCHEME}{name} too; {_ONE_FOR_ALL}",
            EmbeddedBrokerWarning,
            stacklevel=2,
        )


@atexit.register
def _close_all() -> None:
    """What has a data directory gets an orderly end."""
    while _brokers:
        _brokers.popitem()[1].close()


def _forget() -> None:
    """In the child of a fork: the brokers are the parent's, and the lock may be held by one of its threads."""
    global _lock
    _lock = threading.Lock()
    _brokers.clear()
    for mark in _marks.values():
        os.close(mark)
    _marks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
