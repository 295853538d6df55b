"""The commands of `python -m fastapi_pulsar`."""

import argparse
from collections.abc import Sequence

from . import broker


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command that the arguments name, by default those of the process; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fastapi_pulsar", description="Messaging on Apache Pulsar for FastAPI."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    broker.add_to(commands)
    chosen = parser.parse_args(arguments)
    code: int = chosen.run(chosen)
    return code
