"""The secure overlays as processes: who may not is refused, by the broker and with the right error; who may passes."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from docker.make_secrets import SERVERS, Authority, make
from tests.pulsar.compose.fixtures import DOCKER, require_lab
from tests.pulsar.compose.lab import Place
from tests.pulsar.compose.stack import Stack
from tests.pulsar.harness.wait import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300, func_only=True)]
SETUPS = {
    "one-node": ("docker-compose.pulsar.yml", "docker-compose.secure.yml"),
    "cluster": ("docker-compose.cluster.yml", "docker-compose.secure-cluster.yml"),
}
DOORS = {"one-node": ("broker",), "cluster": ("proxy-1", "proxy-2")}
"""The services that clients connect to."""


@dataclass
class Secure:
    """A secure stack, its secrets, and attempts on it."""

    stack: Stack
    secrets: Path
    doors: tuple[str, ...]

    @property
    def application(self) -> dict[str, str]:
        return dict(self.stack.services["app"].environment) | {"PULSAR_TLS_CA_PATH": str(self.secrets / "ca.pem")}

    def logs(self) -> dict[str, str]:
        """What the servers have said so far."""
        return {name: one.log.read_text(errors="replace") for name, one in self.stack.containers.items()}

    def run(self, *command: str, **changed: str | None) -> tuple[int, str]:
        """Exit code and output of a program that has the application's settings, some of them changed or left out."""
        settings = {name: value for name, value in (self.application | changed).items() if value is not None}
        place = Place(self.stack.lab, "client", settings)
        done = subprocess.run(place([sys.executable, *command]), capture_output=True, text=True, timeout=240)
        return done.returncode, done.stdout + done.stderr

    def attempt(self, verb: str, topic: str, **changed: str | None) -> str:
        code, output = self.run("-m", "tests.pulsar.compose.attempt", verb, topic, **changed)
        assert code == 0, output
        return output.strip().splitlines()[-1]


@pytest.fixture(scope="module", params=SETUPS)
def secure(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """The files as they are, in a folder where `secrets` can be made beside them."""
    require_lab()
    folder = tmp_path_factory.mktemp("docker")
    shutil.copytree(DOCKER, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("secrets", "__pycache__", ".env"))
    make(folder / "secrets", 1, extra_roles=("stranger",))
    files = [folder / name for name in SETUPS[request.param]]
    stack = Stack(files, without=("app", "prometheus", "grafana"))
    stack.add_client("client")
    with stack:
        yield Secure(stack, folder / "secrets", DOORS[request.param])


@pytest.fixture
def refused_by_the_broker(secure: Secure) -> Callable[[str], None]:
    """Checks that the servers have said so since the test began."""
    before = {name: len(log) for name, log in secure.logs().items()}

    def check(pattern: str) -> None:
        def said() -> bool:
            return any(re.search(pattern, log[before[name] :]) for name, log in secure.logs().items())

        wait_until(pattern, said, timeout=20)

    return check


def test_the_demo_passes_with_the_right_token(secure: Secure) -> None:
    code, output = secure.run("-m", "fastapi_pulsar.demo", "--broker", "pulsar", "--once")
    assert code == 0, output
    print(next(line for line in output.splitlines() if "published=" in line))


def test_the_right_roles_may(secure: Secure, topic: str) -> None:
    assert secure.attempt("produce", topic) == "ok"
    client = (secure.secrets / "client" / "token").read_text()
    assert secure.attempt("consume", topic, PULSAR_AUTH_TOKEN=client) == "ok"


Refused = Callable[[str], None]


def test_no_token(secure: Secure, topic: str, refused_by_the_broker: Refused) -> None:
    answer = secure.attempt("produce", topic, PULSAR_AUTH_TOKEN=None)
    print(answer)
    assert answer.startswith("AuthenticationError retryable=False")
    refused_by_the_broker(
        "Authentication required|Failed to authenticate|[Uu]nable to authenticate|AuthenticationException"
    )


@pytest.mark.parametrize("what", ["another key", "expired", "not a token"])
def test_a_wrong_token(secure: Secure, topic: str, what: str, tmp_path: Path, refused_by_the_broker: Refused) -> None:
    makers: dict[str, Callable[[], str]] = {
        "another key": lambda: Authority(tmp_path / "other").token("service"),
        "expired": lambda: Authority(secure.secrets, days=-1).token("service"),
        "not a token": lambda: "let-me-in",
    }
    token = makers[what]()
    answer = secure.attempt("produce", topic, PULSAR_AUTH_TOKEN=token)
    print(answer)
    assert answer.startswith("AuthenticationError retryable=False")
    assert token not in answer and not any(token in log for log in secure.logs().values())
    refused_by_the_broker("Failed to authenticate|[Uu]nable to authenticate|AuthenticationException")


@pytest.mark.parametrize(("role", "verb"), [("client", "produce"), ("stranger", "produce"), ("stranger", "consume")])
def test_a_wrong_role(secure: Secure, topic: str, role: str, verb: str, refused_by_the_broker: Refused) -> None:
    assert secure.attempt("produce", topic) == "ok"
    answer = secure.attempt(verb, topic, PULSAR_AUTH_TOKEN=(secure.secrets / role / "token").read_text())
    print(answer)
    assert answer.startswith("AuthorizationError retryable=False")
    refused_by_the_broker("not authorized to (Produce|Subscribe|Get Partition Metadata)")


def test_plain_text_on_the_tls_port(secure: Secure, topic: str, refused_by_the_broker: Refused) -> None:
    url = f"pulsar://{secure.doors[0]}:6650"
    answer = secure.attempt("produce", topic, PULSAR_SERVICE_URL=url, PULSAR_TLS_CA_PATH=None)
    print(answer)
    assert answer.startswith(("ConnectionError retryable=True", "TimeoutError retryable=True"))
    refused_by_the_broker("not an SSL/TLS record|NotSslRecordException")


def test_a_certificate_of_another_authority(secure: Secure, topic: str, tmp_path: Path) -> None:
    Authority(tmp_path / "other")
    answer = secure.attempt("produce", topic, PULSAR_TLS_CA_PATH=str(tmp_path / "other" / "ca.pem"))
    print(answer)
    assert answer.startswith("AuthenticationError retryable=False") and "ertificate" in answer


@pytest.mark.timeout(1500, func_only=True)
def test_an_expired_certificate(secure: Secure, topic: str, refused_by_the_broker: Refused) -> None:
    door = secure.doors[-1]
    kind = door.rstrip("-12")
    container = secure.stack.containers[door]
    container.kill()
    Authority(secure.secrets, days=-1).certificate(secure.secrets / kind, SERVERS[kind])
    try:
        container.start()
        # curl ends with 60 when it has been shown a certificate that it does not accept.
        shown = ["curl", "--silent", "--cacert", "/secrets/ca.pem", "--max-time", "10", "https://localhost:6650"]
        wait_until(f"{door} to show its certificate", lambda: container.execute(*shown).returncode == 60, timeout=600)
        answer = secure.attempt("produce", topic, PULSAR_SERVICE_URL=f"pulsar+ssl://{door}:6650")
        print(answer)
        assert answer.startswith("AuthenticationError retryable=False") and "xpired" in answer
        refused_by_the_broker("certificate_expired|CERTIFICATE_EXPIRED")
    finally:
        Authority(secure.secrets, days=1).certificate(secure.secrets / kind, SERVERS[kind])
        container.kill()
        container.start()
        secure.stack.wait_healthy(door)
    assert secure.attempt("produce", topic) == "ok"
