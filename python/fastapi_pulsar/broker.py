"""`EmbeddedBroker`: Pulsar's protocol in this process, for development and tests. Production is Apache Pulsar."""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict

from . import _core
from .config import get_settings
from .exceptions import InvalidOptionError


@dataclass(frozen=True, kw_only=True)
class BrokerTokens:
    """Clients must bring a JSON web token that this key signed. One of the two keys must be given.

    Args:
        secret_key: What HS256 tokens are signed with.
        public_key: A PEM file, of what RS256 tokens are signed with.
    """

    secret_key: bytes | None = None
    public_key: str | os.PathLike[str] | None = None


@dataclass(frozen=True, kw_only=True)
class BrokerTls:
    """The broker listens with TLS only, and its service URL is `pulsar+ssl://`.

    Args:
        certificate: A PEM file of the broker's certificate chain.
        key: A PEM file of its private key.
    """

    certificate: str | os.PathLike[str]
    key: str | os.PathLike[str]


class BrokerLimits(TypedDict, total=False):
    """What the broker keeps to. What is left out has the broker's default.

    Keys:
        max_message_size: Bytes of a message with its metadata.
        memory: Bytes of messages kept without a data directory; over it producers are held or refused.
        unacked_per_consumer: Messages that a consumer may hold without acknowledging them.
        connections: Clients connected at the same time.
        handles_per_connection: Producers and consumers of one connection.
        handshake_timeout: Seconds that a client may take to introduce itself.
        keep_alive_interval: Seconds of silence before a ping; after as many without an answer the connection ends.
        write_timeout: Seconds that a client may leave unread what is sent to it.
    """

    max_message_size: int
    memory: int
    unacked_per_consumer: int
    connections: int
    handles_per_connection: int
    handshake_timeout: float
    keep_alive_interval: float
    write_timeout: float


class EmbeddedBroker:
    """A broker in this process that any Pulsar client can talk to. It is ready when the constructor returns.

    Use it in `with` or `async with`, or call `close()`. It has threads of its own; several may live side by side.

    Args:
        port: Where clients connect; 0 is any free port.
        admin_port: Where the admin interface is served over HTTP; 0 is any free port.
        data_dir: A folder that keeps what is stored; without one it is kept in memory.
        tokens: Whom to let in; everybody without it.
        tls: Certificate and key to listen with.
        limits: See `BrokerLimits`.
        host: The address to listen on. On others than loopback, everybody in the network reaches it.

    Raises:
        DataDirInUseError: Another broker uses the folder.
        ConnectionError: A port is taken.
        InvalidOptionError: An option is out of range.
    """

    def __init__(
        self,
        port: int = 0,
        admin_port: int = 0,
        data_dir: str | os.PathLike[str] | None = None,
        tokens: BrokerTokens | None = None,
        tls: BrokerTls | None = None,
        limits: BrokerLimits | None = None,
        *,
        host: str = "127.0.0.1",
    ) -> None:
        self._core = _core.Broker(
            {
                "host": host,
                "port": port,
                "admin_port": admin_port,
                "data_dir": None if data_dir is None else os.fspath(Path(data_dir).absolute()),
                "tokens": None if tokens is None else _tokens(tokens),
                "tls": None if tls is None else {"certificate": os.fspath(tls.certificate), "key": os.fspath(tls.key)},
                "limits": dict(limits or {}),
            }
        )

    @property
    def service_url(self) -> str:
        """Where clients connect: `pulsar://host:port`."""
        return self._core.service_url

    @property
    def admin_url(self) -> str:
        """Where the admin interface is served: `http://host:port`, with Pulsar's paths below `/admin/v2`."""
        return self._core.admin_url

    def advance(self, seconds: float | timedelta) -> None:
        """Moves the broker's time forward at once: delayed delivery, time to live, retention, backlog checks, expiry of tokens.

        Clients keep their time; the fixture `pulsar_clock` moves both.
        """
        self._core.advance(seconds)

    def drop_connections(self, topic: str | None = None, client: str | None = None) -> int:
        """Cuts connections without a word, and returns how many.

        Args:
            topic: Only those that have a producer or consumer on the topic.
            client: Only those from an address or of a client version that contains this.
        """
        return self._core.drop_connections(_full(topic), client)

    def fail_next(self, command: str, error: str, *, count: int = 1, topic: str | None = None) -> None:
        """Refuses the next commands of a kind.

        Args:
            command: Its name in Pulsar's protocol, such as `Send`, `Subscribe`, `Producer`, `Lookup`.
            error: The server error to answer with, such as `ServiceNotReady` or `TooManyRequests`.
            count: How many.
            topic: Only those that name the topic.
        """
        self._core.fail_next(command, error, count, _full(topic))

    def delay_next(self, command: str, seconds: float | timedelta, *, count: int = 1, topic: str | None = None) -> None:
        """Answers the next commands of a kind later, by the broker's clock. See `fail_next`."""
        self._core.delay_next(command, seconds, count, _full(topic))

    def ignore_next(self, command: str, *, count: int = 1, topic: str | None = None) -> None:
        """Never answers the next commands of a kind. See `fail_next`."""
        self._core.ignore_next(command, count, _full(topic))

    def corrupt_next(self, count: int = 1, topic: str | None = None) -> None:
        """Damages the bytes of the next messages on their way to a consumer, so that their checksums are wrong."""
        self._core.corrupt_next(count, _full(topic))

    def stop_reading(self, topic: str | None = None, client: str | None = None) -> int:
        """Leaves what clients send unread, until `heal`, and returns how many connections that are. See `drop_connections`."""
        return self._core.stop_reading(_full(topic), client)

    def heal(self) -> None:
        """Takes back every fault that was asked for and has not happened yet."""
        self._core.heal()

    def restart(self, *, keep_data: bool = True) -> None:
        """Stops and starts on the same ports: connections break.

        Args:
            keep_data: Whether topics, messages and subscriptions are still there.
        """
        self._core.restart(keep_data)

    def close(self) -> None:
        """Stops, and lets go of ports and data directory. May be called again."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<EmbeddedBroker at {self.service_url}>"


def _full(topic: str | None) -> str | None:
    return None if topic is None else get_settings().topic(topic)


def _tokens(tokens: BrokerTokens) -> dict[str, Any]:
    if (tokens.secret_key is None) == (tokens.public_key is None):
        raise InvalidOptionError("BrokerTokens takes one of secret_key and public_key")
    path = None if tokens.public_key is None else os.fspath(tokens.public_key)
    return {"secret_key": tokens.secret_key, "public_key": path}
