"""Testing services that use Pulsar: a pytest plugin with an embedded broker, and assertions that explain themselves.

Installed with the package; see `plugin` for the fixtures. Each assertion has an async form, with `_async` behind its name.
"""

from ..broker import BrokerLimits, BrokerTls, BrokerTokens, EmbeddedBroker
from .assertions import backlog_async, dead_lettered_async, published_async, wait_idle_async
from .blocking import backlog, dead_lettered, published, wait_idle
from .clock import PulsarClock
from .target import RunningBroker

__all__ = [
    "BrokerLimits",
    "BrokerTls",
    "BrokerTokens",
    "EmbeddedBroker",
    "PulsarClock",
    "RunningBroker",
    "backlog",
    "backlog_async",
    "dead_lettered",
    "dead_lettered_async",
    "published",
    "published_async",
    "wait_idle",
    "wait_idle_async",
]
