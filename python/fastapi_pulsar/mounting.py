"""The original's import paths in an application that had mounted it as a folder."""

import importlib
import logging
import sys
from types import ModuleType
from typing import Any

from .config import overrides
from .config.singleton import get_settings
from .exceptions import InvalidOptionError, NotAllowedError

logger = logging.getLogger("fastapi_pulsar")
_PLACES = {
    "client": "client",
    "config": "config",
    "decorators": "decorators",
    "exceptions": "exceptions",
    "exceptions.exceptions": "exceptions.exceptions",
    "exceptions.pulsar": "exceptions.pulsar",
    "health_check": "health_check",
    "metrics": "metrics",
    "models": "models",
    "models.credit": "models.credit",
    "permissions": "permissions",
    "background": "original.background",
    "background_tasks": "original.background_tasks",
    "index": "original.index",
    "producer_decorators": "original.producer_decorators",
}
"""Path under the mount → module here. `config_override` is not among them: importing it is what sets its roles."""
_SETTINGS = {
    "PULSAR_ADVERTISED_ADDRESS": "advertised_address",
    "PULSAR_BROKER_PORT": "broker_port",
    "PULSAR_TLS_CERT_PATH": "tls_cert_path",
    "PULSAR_TLS_KEY_PATH": "tls_key_path",
    "PULSAR_TLS_CA_PATH": "tls_ca_path",
    "PULSAR_AUTH_TOKEN": "auth_token",
    "PULSAR_JWT_TOKEN": "jwt_token",
}


def install_as(name: str) -> None:
    """Makes this package importable under another name, as the original was: `install_as("app.core.pulsar")`.

    Call it before anything imports from there, for instance in `app/core/__init__.py`. The modules are the same objects under
    both names. Where the application has `<parent>.config.settings.pulsar`, or the flat fields of the first version on
    `settings`, what is set there is set on `PulsarConfig`.

    Args:
        name: The full name, such as `app.core.pulsar`; its parent must be importable.

    Raises:
        InvalidOptionError: The name has no parent, or is malformed.
        NotAllowedError: Another module of that name has been imported.
    """
    parent, _, leaf = name.rpartition(".")
    if not parent or not all(part.isidentifier() for part in name.split(".")):
        raise InvalidOptionError(f"install_as: {name!r} is not the full name of a module in a package")
    root = importlib.import_module(f"{__package__}.original")
    if sys.modules.get(name, root) is not root:
        raise NotAllowedError(f"install_as: another module {name} has been imported already; remove the mounted folder")
    package = importlib.import_module(parent)
    sys.modules[name] = root
    setattr(package, leaf, root)
    _take_settings(parent)
    for path, place in _PLACES.items():
        module = importlib.import_module(f"{__package__}.{place}")
        sys.modules[f"{name}.{path}"] = module
        if "." not in path and path not in vars(root):
            setattr(root, path, module)


def _take_settings(parent: str) -> None:
    found = _host_settings(parent)
    if found is None:
        return
    for attribute, field in _SETTINGS.items():
        value = getattr(found, attribute, None)
        if value not in (None, ""):
            overrides.VALUES[field] = value
    get_settings.cache_clear()


def _host_settings(parent: str) -> Any | None:
    module: ModuleType | None
    try:
        module = importlib.import_module(f"{parent}.config")
    except ModuleNotFoundError as error:
        if error.name != f"{parent}.config":
            raise
        return None
    settings = getattr(module, "settings", None)
    nested = getattr(settings, "pulsar", None)
    if nested is not None:
        return nested
    return settings if hasattr(settings, "PULSAR_ADVERTISED_ADDRESS") else None
