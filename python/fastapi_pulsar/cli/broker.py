"""`python -m fastapi_pulsar broker`: the embedded broker alone, for several processes or for clients in other languages."""

import argparse
import ipaddress
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ..broker import BrokerTokens, EmbeddedBroker
from ..exceptions import PulsarError


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to a parser."""
    text = "run the embedded broker, for development and tests"
    parser = commands.add_parser("broker", help=text, description=f"{text[0].upper()}{text[1:]}; Ctrl-C ends it.")
    parser.add_argument("--port", type=int, default=6650, help="where clients connect (default 6650; 0: any free port)")
    parser.add_argument(
        "--admin-port",
        type=int,
        default=8080,
        help="where the admin interface is served (default 8080; 0: any free port)",
    )
    parser.add_argument("--data-dir", type=Path, help="keep what is stored in this folder; without it, in memory")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1)")
    parser.add_argument("--token-key", type=Path, help="ask for tokens; a file with the key that signs them (HS256)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs the broker until SIGINT or SIGTERM; 0 after a clean end."""
    # A pipe that the interpreter writes to in the signal itself: a Python handler would wait for the end of a read that has
    # just begun.
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        with _started(options) as broker:
            print(f"service_url {broker.service_url}\nadmin_url {broker.admin_url}", flush=True)
            os.read(told, 1)
    except (PulsarError, OSError) as error:
        print(f"broker: {error}", file=sys.stderr)
        return 1
    return 0


def _started(options: argparse.Namespace) -> EmbeddedBroker:
    arguments: dict[str, Any] = {"host": options.host, "data_dir": options.data_dir}
    if options.token_key is not None:
        arguments["tokens"] = BrokerTokens(secret_key=options.token_key.read_bytes())
    elif not _is_loopback(options.host):
        print(
            f"broker: {options.host} is not loopback and no token is asked for (--token-key): everybody in the network can "
            "read and publish",
            file=sys.stderr,
        )
    return EmbeddedBroker(options.port, options.admin_port, **arguments)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
