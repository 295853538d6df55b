"""Free TCP ports for servers that cannot be told to take port 0 and report what they got."""

import random
import socket

# Below the ranges from which systems take the ports of outgoing connections. A broker that restarts must find its port
# free, and a client that keeps dialling a port nobody listens on must not happen to be given that very port as its own
# end: on loopback it would connect to itself.
RANGE = range(15_000, 30_000)

_taken: set[int] = set()


def free_port() -> int:
    """A port free on loopback now, and given by this process to no one else."""
    for port in random.SystemRandom().sample(RANGE, 200):
        if port not in _taken and _is_free(port):
            _taken.add(port)
            return port
    raise OSError(f"no free port found in {RANGE.start}-{RANGE.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """Whether something listens on the loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False
