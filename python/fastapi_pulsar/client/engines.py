"""The engines behind the clients: clients of equal settings share one, and with it their connections."""

import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from .. import _core
from ..config import PulsarSettings
from . import embedded, engine_logs, engine_metrics

TokenSupplier = Callable[[], str | bytes | Awaitable[str | bytes]]
"""Gives a token, and is asked again with every connection and whenever the broker wants a fresh one. It may block."""

_Key = tuple[PulsarSettings, TokenSupplier | None]


class Engine:
    """Connections that several clients use. Nothing is connected before it is needed."""

    def __init__(self, settings: PulsarSettings, supplier: TokenSupplier | None) -> None:
        options = settings.client_options()
        options["service_url"] = embedded.resolved(options["service_url"])
        self.core = _core.Client(options, _credentials(settings, supplier))
        self.users: weakref.WeakSet[Any] = weakref.WeakSet()
        self.metered = settings.metrics_enabled
        if self.metered:
            # Holds the core only, so that the last counts are taken when the engine has gone.
            weakref.finalize(self, engine_metrics.ended, self.core).atexit = False


_engines: weakref.WeakValueDictionary[_Key, Engine] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def join(user: object, settings: PulsarSettings, supplier: TokenSupplier | None) -> Engine:
    """The engine of these settings, made if nobody has one."""
    with _lock:
        engine = _engines.get((settings, supplier))
        if engine is None:
            engine = _engines[settings, supplier] = Engine(settings, supplier)
        engine.users.add(user)
    _drain.start()
    return engine


def leave(user: object, engine: Engine) -> bool:
    """Whether nobody uses the engine any more, so that it is to be closed. Nobody can join it then."""
    with _lock:
        engine.users.discard(user)
        if engine.users:
            return False
        for key in [key for key, other in _engines.items() if other is engine]:
            del _engines[key]
        return True


def _cores() -> list[_core.Client]:
    with _lock:
        return [engine.core for engine in _engines.values()]


_drain = engine_logs.Drain(_cores)


def stats() -> list[dict[str, Any]]:
    """The counts of every engine whose settings permit metrics: one call to each."""
    with _lock:
        engines = list(_engines.values())
    return [engine.core.stats() for engine in engines if engine.metered]


def _credentials(settings: PulsarSettings, supplier: TokenSupplier | None) -> tuple[str, Any] | None:
    if supplier is not None:
        return "token_supplier", supplier
    if settings.token is not None:
        return "token", settings.token.get_secret_value()
    if settings.tls and settings.tls_cert_path:
        return "tls", None
    return None


def _forget() -> None:
    """In the child of a fork: the engines are the parent's, and the lock may be held by one of its threads."""
    global _lock, _drain
    _lock = threading.Lock()
    _drain = engine_logs.Drain(_cores)
    _engines.clear()
    engine_metrics.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
