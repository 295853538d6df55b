"""`PulsarConfig`, the original's configuration class, as a lazy view of the settings.

Nothing is read at import. Reading an attribute reads `get_settings()`; setting one, or an entry of one of its mappings,
wins over the environment from then on. Times under `PulsarConfig` are in milliseconds where the name says so.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, ClassVar

from pydantic import SecretStr

from . import overrides
from .singleton import get_settings

_Entries = Mapping[str, "str | _Entries"]

_SECTIONS: dict[str, _Entries] = {
    "AUTHENTICATION": {
        "tls": {
            "enabled": "tls_enabled",
            "cert_path": "tls_cert_path",
            "key_path": "tls_key_path",
            "ca_path": "tls_ca_path",
        },
        "token": "auth_token",
    },
    "PRODUCER": {
        "send_timeout_ms": "producer_send_timeout_ms",
        "block_if_queue_full": "producer_block_if_queue_full",
        "max_pending_messages": "producer_max_pending_messages",
        "batching_enabled": "producer_batching_enabled",
        "batching_max_messages": "producer_batching_max_messages",
        "batching_max_publish_delay_ms": "producer_batching_max_delay_ms",
    },
    "CONSUMER": {
        "subscription_type": "consumer_subscription_type",
        "ack_timeout_ms": "consumer_ack_timeout_ms",
        "negative_ack_redelivery_delay_ms": "consumer_nack_redelivery_delay_ms",
        "dead_letter_policy": {
            "max_redeliver_count": "consumer_dlq_max_redeliver_count",
            "dead_letter_topic": "consumer_dlq_topic",
        },
        "receiver_queue_size": "consumer_receiver_queue_size",
    },
    "RETRY": {
        "max_retries": "retry_max_retries",
        "initial_backoff_ms": "retry_initial_backoff_ms",
        "max_backoff_ms": "retry_max_backoff_ms",
    },
    "MONITORING": {"stats_interval_seconds": "stats_interval_seconds"},
    "CACHE_METRICS": {"enabled": "metrics_enabled", "interval_seconds": "metrics_interval_seconds"},
    "SECURITY": {
        "tls_enabled": "tls_enabled",
        "cert_path": "tls_cert_path",
        "jwt_token": "jwt_token",
        "roles": "roles_config",
    },
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "SECURITY": {"auth_type": "jwt"},
    "CACHE_METRICS": {
        "metrics": {
            **dict.fromkeys(("cache_hits", "cache_misses", "cache_evictions"), "counter"),
            "cache_size": "gauge",
            "cache_latency": "histogram",
        }
    },
}
"""Entries that are no setting: plain values, which callers may change and add to."""


class _Section(MutableMapping[str, Any]):
    """One of the mappings of `PulsarConfig`: its entries are settings, others are kept as they are."""

    def __init__(self, entries: _Entries, plain: dict[str, Any]) -> None:
        self._entries = entries
        self._plain = plain

    def __getitem__(self, key: str) -> Any:
        field = self._entries.get(key)
        if field is None:
            return self._plain[key]
        return _read(field) if isinstance(field, str) else _Section(field, {})

    def get(self, key: str, default: Any = None) -> Any:
        # That of Mapping raises and catches a KeyError, and the roles are asked for with every publish.
        return self._plain.get(key, default) if key not in self._entries else self[key]

    def __setitem__(self, key: str, value: Any) -> None:
        field = self._entries.get(key)
        if field is None:
            self._plain[key] = value
        elif isinstance(field, str):
            _write(field, value)
        else:
            _Section(field, {}).update(value)

    def __delitem__(self, key: str) -> None:
        field = self._entries.get(key)
        if field is None:
            del self._plain[key]
        elif isinstance(field, str):
            _forget(field)
        else:
            _Section(field, {}).clear()

    def __iter__(self) -> Iterator[str]:
        yield from self._entries
        yield from self._plain

    def __len__(self) -> int:
        return len(self._entries) + len(self._plain)

    def clear(self) -> None:
        """Gives every entry back to the environment and the defaults."""
        for key in self._entries:
            del self[key]
        self._plain.clear()

    def __repr__(self) -> str:
        return f"<PulsarConfig section of {', '.join(self)}>"


class _View(type):
    """Attribute access on the class itself."""

    _sections: dict[str, _Section]

    def __getattr__(cls, name: str) -> Any:
        if (section := cls._sections.get(name)) is not None:
            return section
        if name in _SECTIONS:
            return cls._sections.setdefault(name, _Section(_SECTIONS[name], dict(_DEFAULTS.get(name, {}))))
        if name == "SERVICE_URL":
            return _read("service_url")
        if name == "SERVICE_URLS":
            return [_read("service_url")]
        raise AttributeError(f"PulsarConfig has no attribute {name!r}")

    def __setattr__(cls, name: str, value: Any) -> None:
        if name in _SECTIONS:
            section = getattr(cls, name)
            section.clear()
            section.update(value)
        elif name == "SERVICE_URL":
            _write("service_url", value)
        elif name == "SERVICE_URLS":
            _write("service_url", _joined(value))
        else:
            super().__setattr__(name, value)

    def __delattr__(cls, name: str) -> None:
        if name in _SECTIONS:
            getattr(cls, name).clear()
            del cls._sections[name]
        elif name in ("SERVICE_URL", "SERVICE_URLS"):
            _forget("service_url")
        else:
            super().__delattr__(name)


class PulsarConfig(metaclass=_View):
    """The settings under the names that the original used; never instantiated.

    Attributes: `SERVICE_URL`, `SERVICE_URLS`, `AUTHENTICATION`, `SECURITY`, `PRODUCER`, `CONSUMER`, `RETRY`,
    `MONITORING`, `CACHE_METRICS` and `POLL_INTERVAL` (seconds).
    """

    _sections: ClassVar[dict[str, _Section]] = {}
    POLL_INTERVAL = 1.0


def _joined(urls: list[str]) -> str:
    """Several URLs as the one with several hosts that means the same."""
    first, *rest = urls
    return ",".join([first, *(url.partition("://")[2] for url in rest)])


def _read(field: str) -> Any:
    settings = get_settings()
    if field == "tls_enabled":
        return settings.tls
    value = getattr(settings, field)
    if field == "roles_config":
        return [role.model_dump(mode="json") for role in value]
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _write(field: str, value: Any) -> None:
    overrides.VALUES[field] = value
    get_settings.cache_clear()


def _forget(field: str) -> None:
    overrides.VALUES.pop(field, None)
    get_settings.cache_clear()
