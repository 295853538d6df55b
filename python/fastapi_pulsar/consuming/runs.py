"""The runs of one router: one for each application and event loop that it lives in."""

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from ..client import PulsarClient
from ..config import PulsarSettings, get_settings
from ..config.address import checked_namespace
from ..exceptions import InvalidOptionError, NotStartedError
from ..fastapi_internals import starting_application
from .run import Run

ClientFactory = Callable[[PulsarSettings], PulsarClient]


def _client(settings: PulsarSettings) -> PulsarClient:
    # Subscribers and producers of a run have their own way of trying again.
    return PulsarClient(settings=settings, max_retries=0)


_all: "WeakSet[Runs]" = WeakSet()


def open_runs() -> list[Run]:
    """Every run of every router in this process, but those made for one publish."""
    return [run for runs in list(_all) for run in runs._open]


class Runs:
    """Finds, opens and stops runs."""

    def __init__(
        self, settings: PulsarSettings | None, namespace: str | None, client_factory: ClientFactory | None
    ) -> None:
        self._given = settings
        self._namespace = namespace
        self._completed: tuple[PulsarSettings, PulsarSettings] | None = None
        self._client_factory = client_factory or _client
        self._of_apps: WeakKeyDictionary[Any, list[Run]] = WeakKeyDictionary()
        self._open: list[Run] = []
        self._ended: WeakSet[Any] = WeakSet()
        _all.add(self)
        if namespace is not None:
            try:
                checked_namespace(namespace)
            except ValueError as error:
                raise InvalidOptionError(f"namespace {error}") from None

    @property
    def settings(self) -> PulsarSettings:
        """The settings, read when first needed, and again once `get_settings` has forgotten them.

        Raises:
            SettingsError: A variable breaks its rule.
        """
        settings = self._given or get_settings()
        if self._namespace is None:
            return settings
        if self._completed is None or self._completed[0] is not settings:
            self._completed = settings, settings.model_copy(update={"namespace": self._namespace})
        return self._completed[1]

    @property
    def any_started(self) -> bool:
        """Whether the router runs in any application."""
        return any(run.started for run in self._open)

    @property
    def ready(self) -> bool:
        """Whether every run has all its subscriptions."""
        return not self.settings.enabled or (self.any_started and all(run.ready for run in self._open))

    def of(self, app: Any) -> Run | None:
        """The run in an application, on the running loop."""
        loop = asyncio.get_running_loop()
        return next((run for run in self._of_apps.get(app, ()) if run.loop is loop), None)

    def enter(self, app: Any) -> Run | None:
        """The run in an application, opened if there is none; None if Pulsar is disabled."""
        if not self.settings.enabled:
            return None
        self._ended.discard(app)
        return self.of(app) or self._register(app)

    def current(self) -> Run | None:
        """The run on the running loop; None if Pulsar is disabled.

        Raises:
            NotStartedError: There is none, and the caller is not in the lifespan of an application either.
        """
        loop = asyncio.get_running_loop()
        for run in self._open:
            if run.loop is loop:
                return run
        if not self.settings.enabled:
            return None
        # The application's own lifespan runs before its routers' and ends after them.
        app = starting_application()
        if app is None:
            raise self._not_started()
        if app not in self._ended:
            return self._register(app)
        run = self._make(app)
        run.transient = True
        return run

    def latest(self) -> Run | None:
        """The run that was opened last, for threads without a loop; None if Pulsar is disabled.

        Raises:
            NotStartedError: There is none.
        """
        if self._open:
            return self._open[-1]
        if not self.settings.enabled:
            return None
        raise self._not_started()

    async def stop(self, app: Any, within: float) -> None:
        """Stops the run in an application, if there is one on the running loop."""
        run = self.of(app)
        if run is None:
            return
        self._ended.add(app)
        try:
            await run.stop(within)
        finally:
            self._of_apps[app].remove(run)
            self._open.remove(run)

    def _register(self, app: Any) -> Run:
        run = self._make(app)
        self._of_apps.setdefault(app, []).append(run)
        self._open.append(run)
        return run

    def _make(self, app: Any) -> Run:
        return Run(self._client_factory(self.settings), self.settings, app)

    @staticmethod
    def _not_started() -> NotStartedError:
        return NotStartedError(
            "the PulsarRouter is not started: it lives in the lifespan of the application that includes it. In tests write "
            "`with TestClient(app) as client:`, which runs the lifespan; a mounted application's lifespan never runs, so "
            "include the router in the outer one"
        )
