"""Run a command beside a real broker: `python tests/pulsar/standalone.py run [options] -- COMMAND…`

The broker starts on free ports, the command finds it in PULSAR_SERVICE_URL and PULSAR_ADMIN_URL (with --auth also
PULSAR_AUTH_TOKEN, with --tls PULSAR_TLS_CA_PATH), and everything ends with the command, whose exit code is returned.
`fetch` only fetches Apache Pulsar and prints where it is.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script: make `tests` importable
    sys.path[0] = str(Path(__file__).parents[2])

from tests.pulsar.harness.fetch import distribution
from tests.pulsar.harness.process import HarnessError
from tests.pulsar.harness.standalone import Standalone


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    # SIGTERM ends the harness like Ctrl-C does: through the `with` block below.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.action == "fetch":
            print(distribution())
            return 0
        settings = dict(pair.split("=", 1) for pair in options.set)
        with Standalone(settings, tuned=options.tuned, auth=options.auth, tls=options.tls) as broker:
            return _run(options.command, _environment(broker))
    except HarnessError as error:
        print(f"standalone: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("fetch", help="fetch Apache Pulsar and print its folder")
    run = actions.add_parser("run", help="start a broker, run a command, stop the broker")
    run.add_argument("--tuned", action="store_true", help="with the features that a broker has off by default")
    run.add_argument("--auth", action="store_true", help="token authentication and authorization")
    run.add_argument("--tls", action="store_true", help="TLS; PULSAR_SERVICE_URL is then pulsar+ssl://")
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any setting of standalone.conf")
    run.add_argument("command", nargs="+", metavar="COMMAND")
    return parser.parse_args(arguments)


def _environment(broker: Standalone) -> dict[str, str]:
    env = {"PULSAR_SERVICE_URL": broker.service_url, "PULSAR_ADMIN_URL": broker.admin_url}
    if broker.token:
        env["PULSAR_AUTH_TOKEN"] = broker.token
    if broker.certificates:
        env |= {"PULSAR_SERVICE_URL": broker.service_url_tls, "PULSAR_TLS_CA_PATH": str(broker.certificates.ca)}
    return env


def _run(command: list[str], env: dict[str, str]) -> int:
    # Ctrl-C reaches the command too, and the command decides how it ends; the broker must outlive it. A handler, not
    # SIG_IGN, since the command would inherit that.
    signal.signal(signal.SIGINT, lambda *_: None)
    child = subprocess.Popen(command, env={**os.environ, **env})
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
