"""Topic roles: which role may produce to a topic, or consume from it.

The policy is `PulsarConfig.SECURITY`, read at every check:

* `service_role`: the role of this process.
* `topic_roles`: topic or pattern (`orders`, `persistent://shop/sales/*`, `*`) → roles that may do both, or
  `{"produce": [roles], "consume": [roles]}`. What several matching entries give adds up. A topic without one is denied.
* `roles` (also `PULSAR_ROLES_CONFIG`): role → permissions. A role that it defines does at most what is permitted there.

Without `service_role` and `topic_roles` there is no policy, and everything is allowed; that is logged once.
"""

import logging
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Literal

from . import metrics
from .config import PulsarConfig, PulsarSettings, get_settings
from .exceptions import AuthorizationError, SettingsError

Action = Literal["produce", "consume"]
ACTIONS: tuple[Action, ...] = ("produce", "consume")
logger = logging.getLogger("fastapi_pulsar.permissions")
_PARTITION = re.compile(r"-partition-\d+$")
_MOST_TOPICS = 4096
"""Topics whose roles are remembered."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What `PulsarConfig.SECURITY` says, checked."""

    service_role: str | None
    topics: Mapping[str, Mapping[Action, frozenset[str]]] | None
    """Full name or pattern → action → roles; None if topics are not restricted."""
    permissions: Mapping[str, frozenset[str]]
    """Role → permissions, of the roles that are defined."""

    def allowed(self, topic: str, action: Action) -> frozenset[str]:
        """The roles that may do this with a topic, which is a full name."""
        if self.topics is None:
            roles = frozenset(self.permissions)
        else:
            topic = _PARTITION.sub("", topic)
            roles = frozenset[str]().union(
                *(by[action] for pattern, by in self.topics.items() if fnmatchcase(topic, pattern))
            )
        return frozenset(role for role in roles if action in self.permissions.get(role, ACTIONS))


class _Memory:
    """A policy as it was parsed, and what was asked of it. It serves as long as nothing that it was parsed from has changed:
    whoever publishes asks for each message."""

    def __init__(self, service_role: Any, topic_roles: Any, settings: PulsarSettings) -> None:
        self.policy = _parsed(service_role, topic_roles, settings)
        self._service_role = service_role
        self._topic_roles = deepcopy(topic_roles)  # the mapping may be changed in place
        self._settings = settings
        self._allowed: dict[tuple[str, Action | None], frozenset[str]] = {}

    def serves(self, service_role: Any, topic_roles: Any, settings: PulsarSettings) -> bool:
        """Whether the policy is still the one that was parsed."""
        return (
            self._settings is settings and self._service_role == service_role and bool(self._topic_roles == topic_roles)
        )

    def allowed(self, topic: str, action: Action | None) -> frozenset[str]:
        """The roles that may do this, or either if None, with a topic, short name or full."""
        found = self._allowed.get((topic, action))
        if found is None:
            name = self._settings.topic(topic)
            actions = ACTIONS if action is None else (action,)
            found = frozenset[str]().union(*(self.policy.allowed(name, one) for one in actions))
            if len(self._allowed) >= _MOST_TOPICS:
                self._allowed.clear()
            self._allowed[topic, action] = found
        return found


_memory: _Memory | None = None


def check_permission(topic: str, action: Action | None = None, role: str | None = None) -> None:
    """Whether a role may produce to a topic, or consume from it.

    Args:
        topic: A short name or a full one.
        action: `produce` or `consume`; None asks whether it may do either.
        role: None is the process's own, `SECURITY["service_role"]`.

    Raises:
        AuthorizationError: It may not. It is a `PermissionError`, and counted.
        SettingsError: The policy does not parse. The text names the key.
    """
    memory = _remembered()
    if memory is None:
        if role is None:
            _say_once("no topic roles are configured (SECURITY['topic_roles']): every topic is allowed")
            return
        memory = _Memory(None, None, get_settings())
    role = memory.policy.service_role if role is None else role
    allowed = memory.allowed(topic, action)
    if role not in allowed:
        metrics.PULSAR_PERMISSION_DENIALS.labels(action=action or "any").inc()
        raise AuthorizationError(
            f"Role '{role}' not authorized for topic '{topic}'. Allowed roles: {sorted(allowed)}", topic=topic
        )


def current_policy() -> Policy | None:
    """The policy as it is now; None if there is none.

    Raises:
        SettingsError: It does not parse.
    """
    memory = _remembered()
    return None if memory is None else memory.policy


def _remembered() -> _Memory | None:
    """What is known of the policy as it is now; None if there is none."""
    global _memory
    security = PulsarConfig.SECURITY
    service_role, topic_roles = security.get("service_role"), security.get("topic_roles")
    if service_role is None and topic_roles is None:
        return None
    memory, settings = _memory, get_settings()
    if memory is None or not memory.serves(service_role, topic_roles, settings):
        memory = _memory = _Memory(service_role, topic_roles, settings)
    return memory


def _parsed(service_role: Any, topic_roles: Any, settings: PulsarSettings) -> Policy:
    if service_role is not None and not isinstance(service_role, str):
        raise SettingsError("SECURITY['service_role'] must be the name of a role")
    permissions = {role.name: frozenset(role.permissions) for role in settings.roles_config}
    topics = None if topic_roles is None else _topics(topic_roles, settings.namespace)
    named = {role for by in (topics or {}).values() for roles in by.values() for role in roles}
    if "roles_config" in settings.model_fields_set:
        for role in sorted(named - permissions.keys()):
            raise SettingsError(f"SECURITY['topic_roles'] names the role {role!r}, which the roles do not define")
    if service_role is not None and service_role not in named | permissions.keys():
        raise SettingsError(f"SECURITY['service_role'] is {service_role!r}, which neither roles nor topic_roles define")
    return Policy(service_role, topics, permissions)


def _topics(given: object, namespace: str) -> dict[str, dict[Action, frozenset[str]]]:
    if not isinstance(given, Mapping):
        raise SettingsError("SECURITY['topic_roles'] must be a mapping of topics to roles")
    return {_pattern(topic, namespace): _roles(topic, roles) for topic, roles in given.items()}


def _pattern(topic: object, namespace: str) -> str:
    if not isinstance(topic, str) or not topic.strip():
        raise SettingsError("SECURITY['topic_roles']: a topic must be a non-empty string")
    if topic == "*" or "://" in topic:
        return topic
    return f"persistent://{topic}" if "/" in topic else f"persistent://{namespace}/{topic}"


def _roles(topic: str, given: Any) -> dict[Action, frozenset[str]]:
    where = f"SECURITY['topic_roles'][{topic!r}]"
    by = given if isinstance(given, Mapping) else dict.fromkeys(ACTIONS, given)
    if not by.keys() <= set(ACTIONS):
        raise SettingsError(f"{where} has keys besides 'produce' and 'consume'")
    for roles in by.values():
        if not isinstance(roles, list | tuple | set | frozenset) or not all(isinstance(role, str) for role in roles):
            raise SettingsError(f"{where} must be a list of roles, or such lists by 'produce' and 'consume'")
    return {action: frozenset(by.get(action, ())) for action in ACTIONS}


@cache
def _say_once(text: str) -> None:
    logger.info(text)
