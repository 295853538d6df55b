"""`PulsarAdmin`: the one verb of the broker's HTTP administration that the original's client had."""

import asyncio
import logging
import urllib.error
import urllib.request
from urllib.parse import quote

from ..config import PulsarSettings, get_settings
from ..exceptions import AuthorizationError, ConnectionError, NotAllowedError, PulsarError

logger = logging.getLogger("fastapi_pulsar.admin")
_PORTS = {"pulsar": ("http", "6650", "8080"), "pulsar+ssl": ("https", "6651", "8443")}
_TIMEOUT = 10.0


class PulsarAdmin:
    """Administration over HTTP.

    Args:
        service_url: The service URL; scheme and port become those of the administration: `pulsar://h:6650` is
            `http://h:8080`, `pulsar+ssl://h:6651` is `https://h:8443`.
        settings: Whose token and namespace are used; those of the environment by default.

    Attributes:
        service_url: As given.
        admin_url: Where requests go; may be set, for brokers that listen elsewhere.
    """

    def __init__(self, service_url: str, *, settings: PulsarSettings | None = None) -> None:
        self.service_url = service_url
        self.admin_url = _admin_url(service_url)
        self._settings = settings

    async def delete_topic(self, topic: str) -> None:
        """Deletes a topic that nobody uses; one that is not there is deleted already.

        Args:
            topic: A short name or a full one.

        Raises:
            InvalidTopicError: The name is malformed.
            NotAllowedError: Producers or subscriptions still use it.
            AuthorizationError: The token does not permit it.
            ConnectionError: The broker's administration does not answer.
        """
        settings = self._settings or get_settings()
        name = settings.topic(topic)
        path = "/".join(quote(part, safe="") for part in name.replace("://", "/", 1).split("/"))
        headers = {}
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        request = urllib.request.Request(f"{self.admin_url}/admin/v2/{path}", method="DELETE", headers=headers)  # noqa: S310
        await asyncio.to_thread(_delete, request, name)


def _delete(request: urllib.request.Request, topic: str) -> None:
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT):  # noqa: S310  the scheme is http or https
            return
    except urllib.error.HTTPError as error:
        if error.code == 404:
            logger.debug("topic %s was not there to delete", topic)
            return
        raise _refusal(error.code, topic) from None
    except OSError as error:
        raise ConnectionError(f"the broker's administration does not answer: {error}", topic=topic) from None


def _refusal(status: int, topic: str) -> PulsarError:
    if status in (401, 403):
        return AuthorizationError("the credentials do not permit to delete the topic", topic=topic)
    if status == 412:
        return NotAllowedError("the topic has producers or subscriptions", topic=topic)
    return PulsarError(f"the broker's administration answered with status {status}", topic=topic)


def _admin_url(service_url: str) -> str:
    scheme, _, hosts = service_url.partition("://")
    http, binary, admin = _PORTS.get(scheme, _PORTS["pulsar"])
    host = hosts.split(",")[0].rstrip("/")
    name, separator, port = host.rpartition(":")
    if not separator or port.endswith("]"):
        return f"{http}://{host}:{admin}"
    return f"{http}://{name}:{admin if port == binary else port}"
