"""Child processes and directories that never outlive the harness."""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

WATCHDOG = Path(__file__).with_name("watchdog.py")


class HarnessError(RuntimeError):
    """Apache Pulsar could not be fetched, started or stopped; the text says which step, and where the log is."""


class Process:
    """One child process in a process group of its own, its output in a log file."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._child.pid
        _guard.add(self)

    def alive(self) -> bool:
        return self._child.poll() is None

    def wait(self, timeout: float) -> int:
        """Waits for the process to end by itself; its exit code."""
        return self._child.wait(timeout)

    def stop(self, timeout: float = 20) -> None:
        """SIGTERM, and SIGKILL after `timeout` seconds."""
        self._end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """SIGKILL: the process gets no chance to say goodbye."""
        self._end(signal.SIGKILL, 20)

    def _end(self, signal_number: signal.Signals, timeout: float) -> None:
        if self.alive():
            # The whole group: the launch script may not have become the JVM yet.
            os.killpg(self.pid, signal_number)
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._child.wait(20)
        _guard.remove(self)

    def tail(self, lines: int = 15) -> str:
        """The last lines of the log, for error messages."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def temporary_directory(prefix: str) -> Path:
    """A new directory, removed by `remove_directory`, at exit, or by the watchdog."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    _guard.add_directory(folder)
    return folder


def remove_directory(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _guard.remove_directory(folder)


class _Guard:
    """Knows what lives, ends it at exit, and tells the watchdog, which outlives this process by a moment."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._processes: dict[int, Process] = {}
        self._directories: set[Path] = set()
        self._watchdog: subprocess.Popen[str] | None = None
        atexit.register(self._close)

    def add(self, process: Process) -> None:
        with self._lock:
            self._processes[process.pid] = process
            self._tell(f"+pid {process.pid}")

    def remove(self, process: Process) -> None:
        with self._lock:
            if self._processes.pop(process.pid, None):
                self._tell(f"-pid {process.pid}")

    def add_directory(self, folder: Path) -> None:
        with self._lock:
            self._directories.add(folder)
            self._tell(f"+dir {folder}")

    def remove_directory(self, folder: Path) -> None:
        with self._lock:
            self._directories.discard(folder)
            self._tell(f"-dir {folder}")

    def _tell(self, line: str) -> None:
        if self._watchdog is None:
            command = [sys.executable, "-I", "-S", str(WATCHDOG)]
            # A session of its own: Ctrl-C in the terminal must reach the harness, not its watchdog.
            self._watchdog = subprocess.Popen(
                command, stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
            )
        if self._watchdog.stdin:
            self._watchdog.stdin.write(line + "\n")

    def _close(self) -> None:
        # A forked child inherits this object and the exit hook; what lives belongs to its parent.
        if os.getpid() != self._owner:
            return
        with self._lock:
            for process in reversed(list(self._processes.values())):
                with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                    process.kill()
            for folder in list(self._directories):
                remove_directory(folder)
            if self._watchdog and self._watchdog.stdin:
                self._watchdog.stdin.close()
                self._watchdog.wait(20)


_guard = _Guard()
