"""The broker that the tests of this session run on."""

from dataclasses import dataclass
from typing import Protocol

from ..config import get_settings
from .admin import Admin


class Broker(Protocol):
    """An `EmbeddedBroker` or a `RunningBroker`."""

    @property
    def service_url(self) -> str: ...
    @property
    def admin_url(self) -> str: ...


@dataclass(frozen=True)
class RunningBroker:
    """A broker that somebody else has started."""

    service_url: str
    admin_url: str


_current: list[Broker] = []


def enter(broker: Broker) -> None:
    """From now on the assertions ask this broker."""
    _current.append(broker)


def leave(broker: Broker) -> None:
    """The assertions ask again whom they asked before."""
    _current.remove(broker)


def current() -> Broker:
    """The broker that the assertions ask.

    Raises:
        LookupError: No test has asked for one.
    """
    if not _current:
        raise LookupError(
            "no broker runs for these tests: let the test take one of the fixtures pulsar_url, pulsar_client, "
            "pulsar_topic or pulsar_broker"
        )
    return _current[-1]


def admin(broker: Broker | None = None) -> Admin:
    """The admin interface, by default of the current broker."""
    broker = broker or current()
    token = get_settings().token
    return Admin(broker.admin_url, None if token is None else token.get_secret_value())
