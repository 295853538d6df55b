"""How gunicorn runs in the image; it reads this file from the folder that it is started in."""

import os
import shutil
from pathlib import Path
from typing import Any

bind = os.environ.get("BIND", "0.0.0.0:8000")
worker_class = "asgi"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_tmp_dir = "/dev/shm"  # noqa: S108 - in memory: a slow disk must not make a living worker look dead
graceful_timeout = 40  # seconds, more than a router's drain_timeout

# The workers' metrics meet in files, so that a scrape of one of them tells of all. Here and not in the image, since every
# other program in it would look for the folder too.
_metrics = Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", "/tmp/metrics"))  # noqa: S108 - the container's own
_metrics.mkdir(parents=True, exist_ok=True)

from prometheus_client import multiprocess  # noqa: E402 - it looks for the folder


def on_starting(server: Any) -> None:
    """Forgets the metrics of an earlier start: process numbers come again in a container."""
    shutil.rmtree(_metrics)
    _metrics.mkdir()


def child_exit(server: Any, worker: Any) -> None:
    """Takes a dead worker's gauges out of the sum."""
    multiprocess.mark_process_dead(worker.pid)
