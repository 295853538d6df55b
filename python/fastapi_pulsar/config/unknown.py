"""A misspelt `PULSAR_…` variable has no effect, which nobody would notice: it is worth a warning."""

import difflib
import os
import warnings
from collections.abc import Iterable

from .aliases import SECOND_NAMES, variable

_CLOSE = 0.8
_OTHERS = {"PULSAR_TEST_HOST", "PULSAR_BROKER_CONTAINER"}
"""Names of the original's test suite: known, without a setting here."""


class SettingsWarning(UserWarning):
    """An environment variable is unknown, but close to a known one."""


def warn_of_unknown_variables(fields: Iterable[str]) -> None:
    """Warns of each variable that resembles a setting without being one; its value is not shown."""
    known = {variable(field) for field in fields} | SECOND_NAMES.keys() | _OTHERS
    without_prefix = [name.removeprefix("PULSAR_") for name in known]
    for name in sorted(os.environ):
        upper = name.upper()
        if not upper.startswith("PULSAR_") or upper in known:
            continue
        if close := difflib.get_close_matches(upper.removeprefix("PULSAR_"), without_prefix, 1, _CLOSE):
            warnings.warn(
                f"{name} is no setting and has no effect: did you mean PULSAR_{close[0]}?", SettingsWarning, 4
            )
