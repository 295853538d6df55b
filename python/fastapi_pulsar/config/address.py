"""Where the brokers are: service URL, namespace and topic names, checked and completed."""

import re
from typing import TYPE_CHECKING

from ..exceptions import InvalidTopicError

if TYPE_CHECKING:
    from .settings import PulsarSettings

_SCHEMES = ("pulsar", "pulsar+ssl")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(:(?P<port>\d{1,5}))?")
_LOCAL = re.compile(r"[^\x00-\x1f\x7f]+")
_NAME = re.compile(r"[\w.-]+", re.ASCII)
_PART = re.compile(r"[\w=:.-]+", re.ASCII)
"""What the broker accepts as tenant and namespace."""


def checked_url(url: str) -> str:
    """The URL itself, if it is that of an embedded broker, or `pulsar://` or `pulsar+ssl://` and one or more hosts, separated
    by commas."""
    scheme, separator, hosts = url.partition("://")
    if scheme == "embedded" and separator:
        return _checked_embedded(url, hosts)
    if not separator or scheme not in _SCHEMES:
        raise ValueError("must start with pulsar://, pulsar+ssl:// or embedded://")
    for host in hosts.rstrip("/").split(","):
        match = _HOST.fullmatch(host)
        if match is None:
            raise ValueError("must name one host[:port], or several separated by commas, and nothing else")
        if match["port"] and not 1 <= int(match["port"]) <= 65535:
            raise ValueError("a port must be from 1 to 65535")
    return url.rstrip("/")


def _checked_embedded(url: str, place: str) -> str:
    """`embedded://name`, or `embedded:///path/to/data`."""
    if not _NAME.fullmatch(place) and not (place.startswith("/") and len(place) > 1):
        raise ValueError(
            "must be embedded:// and a name of letters, digits and _ . -, or embedded:// and the full path of a folder"
        )
    return url


def checked_namespace(namespace: str) -> str:
    """The namespace itself, if it is `tenant/namespace`."""
    parts = namespace.split("/")
    if len(parts) != 2 or not all(_PART.fullmatch(part) for part in parts):
        raise ValueError("must be tenant/namespace, of letters, digits and _ = : . -")
    return namespace


def refuse_contradictions(settings: "PulsarSettings") -> None:
    """Raises `ValueError` where two settings cannot both be meant."""
    scheme = settings.service_url.partition("://")[0]
    if settings.service_url and settings.tls_enabled is not None and settings.tls_enabled != (scheme == "pulsar+ssl"):
        state = "true" if settings.tls_enabled else "false"
        raise ValueError(
            f"PULSAR_TLS_ENABLED is {state}, but PULSAR_SERVICE_URL starts with {scheme}://: the scheme decides, so "
            "leave out PULSAR_TLS_ENABLED or change the scheme"
        )
    tokens = [token.get_secret_value() for token in (settings.auth_token, settings.jwt_token) if token is not None]
    if len(set(tokens)) > 1:
        raise ValueError("PULSAR_AUTH_TOKEN and PULSAR_JWT_TOKEN are both set and differ: set one of them")
    if (settings.tls_cert_path is None) != (settings.tls_key_path is None):
        raise ValueError("PULSAR_TLS_CERT_PATH and PULSAR_TLS_KEY_PATH belong together: set both or neither")
    if settings.retry_initial_backoff_ms > settings.retry_max_backoff_ms:
        raise ValueError("PULSAR_RETRY_INITIAL_BACKOFF_MS must not be over PULSAR_RETRY_MAX_BACKOFF_MS")


def resolved_url(settings: "PulsarSettings") -> str:
    """`service_url`, or the URL of address and port."""
    if settings.service_url:
        return settings.service_url
    host = "127.0.0.1" if settings.test_localhost else settings.advertised_address
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return checked_url(f"{_SCHEMES[bool(settings.tls_enabled)]}://{host}:{settings.broker_port}")


def full_topic(name: object, namespace: str) -> str:
    """`domain://tenant/namespace/topic` of a name in full, of `tenant/namespace/topic`, or of the topic alone.

    Raises:
        InvalidTopicError: The name is none of these.
    """
    if not isinstance(name, str) or not name or name != name.strip():
        raise InvalidTopicError("a topic name must be a string, not empty, without blanks around it")
    domain, separator, rest = name.partition("://")
    if not separator:
        domain, rest = "persistent", name if "/" in name else f"{namespace}/{name}"
    if domain not in ("persistent", "non-persistent"):
        raise InvalidTopicError("the domain of a topic must be persistent:// or non-persistent://", topic=name)
    parts = rest.split("/")
    if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts[:2]) or not _LOCAL.fullmatch(parts[2]):
        raise InvalidTopicError(
            "a topic must be a name, tenant/namespace/name or persistent://tenant/namespace/name", topic=name
        )
    return f"{domain}://{rest}"
