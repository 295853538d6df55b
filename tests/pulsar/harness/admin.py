"""The broker's admin REST interface, as far as tests need it."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class AdminError(OSError):
    """The broker answered with an error status."""

    def __init__(self, method: str, path: str, status: int, reason: str) -> None:
        super().__init__(f"{method} {path}: {status} {reason}")
        self.status = status


class Admin:
    """Requests to `<url>/admin/v2/…`; bodies and answers are JSON."""

    def __init__(self, url: str, token: str | None = None, timeout: float = 30) -> None:
        self.url = url
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = timeout
        # Loopback is never behind the proxy that the environment may name.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer: JSON, or text where it is none, or None where it is empty."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=self._headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                text = response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                raise AdminError(method, path, error.code, error.read().decode(errors="replace")[:500]) from None
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text

    def get(self, path: str) -> Any:
        return self.request("GET", "/admin/v2" + path)

    def put(self, path: str, body: Any = None) -> Any:
        return self.request("PUT", "/admin/v2" + path, body)

    def post(self, path: str, body: Any = None) -> Any:
        return self.request("POST", "/admin/v2" + path, body)

    def delete(self, path: str) -> Any:
        return self.request("DELETE", "/admin/v2" + path)

    # -- what tests ask for most

    def create_topic(self, topic: str, partitions: int = 0) -> None:
        """Creates the topic; with `partitions` a partitioned one."""
        if partitions:
            self.put(f"{topic_path(topic)}/partitions", partitions)
        else:
            self.put(topic_path(topic))

    def delete_topic(self, topic: str, *, force: bool = False) -> None:
        self.delete(f"{topic_path(topic)}?force={str(force).lower()}")

    def unload(self, topic: str) -> None:
        """Makes the broker close the topic: clients reconnect."""
        self.put(f"{topic_path(topic)}/unload")

    def topics(self, namespace: str = "public/default") -> list[str]:
        found: list[str] = self.get(f"/persistent/{namespace}")
        return found

    def stats(self, topic: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"{topic_path(topic)}/stats?getPreciseBacklog=true")
        return found

    def schema(self, topic: str) -> dict[str, Any]:
        """Type, version, properties and the schema's text under `data`."""
        found: dict[str, Any] = self.get("/schemas" + topic_path(topic).removeprefix("/persistent") + "/schema")
        return found

    def set_deduplication(self, namespace: str, enabled: bool) -> None:
        self.post(f"/namespaces/{namespace}/deduplication", enabled)

    def broker_of(self, topic: str) -> str:
        """The service URL of the broker that serves the topic."""
        answer = self.request("GET", "/lookup/v2/topic" + topic_path(topic))
        url: str = answer["brokerUrl"]
        return url


def topic_path(topic: str) -> str:
    """`persistent://tenant/namespace/name`, or a short name, as a path of the REST interface."""
    domain, separator, rest = topic.partition("://")
    if not separator:
        domain, rest = "persistent", topic
    parts = rest.split("/", 2)
    if len(parts) == 1:
        parts = ["public", "default", *parts]
    return "/" + "/".join([domain, *(urllib.parse.quote(part, safe="") for part in parts)])
