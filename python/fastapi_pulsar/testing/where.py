"""Which broker `--pulsar` names, when it is not the embedded one."""

import os
from urllib.parse import urlsplit

from ..config import get_settings
from .target import RunningBroker


def chosen_broker(where: str) -> RunningBroker:
    """The broker of `real` (the settings' own) or of a URL; its admin interface is at PULSAR_ADMIN_URL, or at port 8080."""
    service_url = get_settings().service_url if where == "real" else where
    host = urlsplit(service_url.partition(",")[0]).hostname or "localhost"
    host = f"[{host}]" if ":" in host else host
    return RunningBroker(service_url, os.environ.get("PULSAR_ADMIN_URL") or f"http://{host}:8080")
