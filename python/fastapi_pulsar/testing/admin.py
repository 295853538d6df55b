"""The broker's admin interface, as far as fixtures and assertions need it."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

_TIMEOUT = 30.0


class AdminError(OSError):
    """The admin interface cannot be reached, or answered with an error."""

    def __init__(self, what: str, status: int | None = None) -> None:
        super().__init__(what)
        self.status = status


class Admin:
    """Requests to `<url>/admin/v2`, blocking; bodies and answers are JSON."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url.rstrip("/") + "/admin/v2"
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        # What an environment's proxy is for is not a broker beside the tests.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer; None if there is none.

        Raises:
            AdminError: The broker refused, or cannot be reached.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, method=method, headers=self._headers)  # noqa: S310 - the URL is the broker's own
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                reason = error.read().decode(errors="replace")[:300]
            raise AdminError(f"{method} {self._url}{path} answered {error.code}: {reason}", error.code) from None
        except OSError as error:
            raise AdminError(f"{method} {self._url}{path} failed: {error}") from None
        return json.loads(text) if text else None

    def create_namespace(self, namespace: str) -> None:
        """Makes a namespace that keeps every message, acknowledged or not."""
        self.request("PUT", f"/namespaces/{namespace}")
        forever = {"retentionTimeInMinutes": -1, "retentionSizeInMB": -1}
        self.request("POST", f"/namespaces/{namespace}/retention", forever)

    def delete_namespace(self, namespace: str) -> None:
        """Removes a namespace and everything in it."""
        try:
            self.request("DELETE", f"/namespaces/{namespace}?force=true")
        except AdminError as error:
            if error.status not in (405, 409, 412):
                raise
            # Brokers do not let a namespace be deleted by force unless they are told to: its topics go first.
            for topic in self.request("GET", f"/persistent/{namespace}/partitioned"):
                self.request("DELETE", f"{path_of(topic)}/partitions?force=true")
            for topic in self.request("GET", f"/persistent/{namespace}"):
                self.request("DELETE", f"{path_of(topic)}?force=true")
            self.request("DELETE", f"/namespaces/{namespace}")

    def subscription(self, topic: str, subscription: str, partitions: int) -> dict[str, Any] | None:
        """The broker's figures for a subscription; None if there is none.

        Raises:
            AdminError: There is no such topic (status 404), or the broker cannot be asked.
        """
        kind = "partitioned-stats" if partitions else "stats"
        stats = self.request("GET", f"{path_of(topic)}/{kind}?getPreciseBacklog=true")
        found: dict[str, Any] | None = stats["subscriptions"].get(subscription)
        return found


def path_of(topic: str) -> str:
    """The path of a topic, given by its name in full."""
    domain, _, rest = topic.partition("://")
    return "/" + "/".join([domain, *(urllib.parse.quote(part, safe="") for part in rest.split("/", 2))])
