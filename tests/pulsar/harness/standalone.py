"""One broker with its store in one process (`pulsar standalone`)."""

import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.pulsar.harness.admin import Admin
from tests.pulsar.harness.credentials import Certificates, make_certificates, make_token
from tests.pulsar.harness.fetch import distribution
from tests.pulsar.harness.ports import free_port
from tests.pulsar.harness.process import HarnessError, Process, remove_directory, temporary_directory
from tests.pulsar.harness.settings import SMALL, TUNED, Settings, write_settings
from tests.pulsar.harness.wait import wait_until

AUTHENTICATION = "org.apache.pulsar.broker.authentication.AuthenticationProvider"
JAVA = {
    "PULSAR_MEM": "-Xms128m -Xmx1g -XX:MaxDirectMemorySize=1g",
    "PULSAR_GC": "-XX:+UseParallelGC -XX:+PerfDisableSharedMem",
    "PULSAR_GC_LOG": " ",
    "PULSAR_STANDALONE_USE_ZOOKEEPER": "0",
}
SMALL_STORE: Settings = {
    "dbStorage_writeCacheMaxSizeMb": 64,
    "dbStorage_readAheadCacheMaxSizeMb": 32,
    "dbStorage_rocksDB_blockCacheSize": 32 << 20,
}


class Standalone:
    """A broker on free loopback ports, its data in a temporary directory. Use as a context manager, or `close()` it.

    `tuned` switches on what a broker has off by default (see `settings.TUNED`); `settings` are any settings of
    `standalone.conf`. `auth`: tokens, and authorization with the super user `admin`. `tls`: listens with TLS as well.
    `mtls`: TLS whose client certificates authenticate; implies both.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        tuned: bool = False,
        auth: bool = False,
        tls: bool = False,
        mtls: bool = False,
        ready_timeout: float = 180,
    ) -> None:
        self.auth = auth or mtls
        self.tls = tls or mtls
        self.mtls = mtls
        self._own = {**(TUNED if tuned else {}), **(settings or {})}
        self._ready_timeout = ready_timeout
        self._key = secrets.token_bytes(32)
        self._process: Process | None = None
        self._home = distribution()
        self.directory = temporary_directory("pulsar-standalone-")
        self._port, self._web_port, self._tls_port, self._web_tls_port, self._bookie_port = (
            free_port() for _ in range(5)
        )
        self.certificates: Certificates | None = make_certificates(self.directory / "certs") if self.tls else None
        self.token = self.make_token("admin") if self.auth else None
        self.service_url = f"pulsar://127.0.0.1:{self._port}"
        self.admin_url = f"http://127.0.0.1:{self._web_port}"
        self.service_url_tls = f"pulsar+ssl://127.0.0.1:{self._tls_port}"
        self.admin = Admin(self.admin_url, self.token)

    def make_token(self, subject: str, expires_in: float | None = None) -> str:
        """A token of the broker's own key; `expires_in` seconds."""
        return make_token(self._key, subject, expires_in)

    def configure(self, settings: Settings) -> None:
        """More settings for the next start, for those that name the broker's own ports."""
        self._own = {**self._own, **settings}

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> Self:
        """Starts the broker and waits until it serves; after `stop` or `kill` on the same ports with the same data."""
        if self._process:
            raise HarnessError("the broker is running already")
        configuration = self.directory / "standalone.conf"
        write_settings(self._home / "conf" / "standalone.conf", configuration, self._settings())
        command = [str(self._home / "bin" / "pulsar"), "standalone", "--no-functions-worker", "--no-stream-storage"]
        command += ["--advertised-address", "127.0.0.1", "--bookkeeper-port", str(self._bookie_port)]
        command += [
            "--metadata-dir",
            str(self.directory / "metadata"),
            "--bookkeeper-dir",
            str(self.directory / "bookie"),
        ]
        env = {**JAVA, "PULSAR_STANDALONE_CONF": str(configuration), "PULSAR_LOG_DIR": str(self.directory / "log")}
        self._process = Process("broker", command, env, self.directory / "broker.log")
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise
        return self

    def _wait(self) -> None:
        steps = [("/brokers/ready", "ok"), ("/namespaces/public", "public/default"), ("/brokers/health", "ok")]
        if str(self._settings().get("transactionCoordinatorEnabled")) == "true":
            steps.append(("/persistent/pulsar/system/transaction_coordinator_assign/partitions", "'partitions': 1"))
        for path, expected in steps:
            wait_until(
                f"broker: {path}",
                lambda path=path, expected=expected: expected in str(self.admin.get(path)),  # type: ignore[misc]
                timeout=self._ready_timeout,
                process=self._process,
            )

    def stop(self) -> None:
        """A graceful end: clients are told. Data and ports are kept."""
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """SIGKILL. Data and ports are kept."""
        if self._process:
            self._process.kill()
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """Ends the broker at once and removes everything of it."""
        self.kill()
        remove_directory(self.directory)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _settings(self) -> Settings:
        settings = {**SMALL, **SMALL_STORE, "brokerServicePort": self._port, "webServicePort": self._web_port}
        settings |= {"clusterName": "standalone", "listeningInterface": "lo", "allowLoopback": "true"}
        if self.auth:
            settings |= self._auth_settings()
        if self.certificates:
            settings |= self._tls_settings(self.certificates)
        return settings | self._own

    def _auth_settings(self) -> Settings:
        key = self._file("secret.key", self._key)
        return {
            "authenticationEnabled": "true",
            "authorizationEnabled": "true",
            "authenticationProviders": AUTHENTICATION + "Token" + (f",{AUTHENTICATION}Tls" if self.mtls else ""),
            "superUserRoles": "admin",
            "tokenSecretKey": f"file://{key}",
            "brokerClientAuthenticationPlugin": "org.apache.pulsar.client.impl.auth.AuthenticationToken",
            "brokerClientAuthenticationParameters": f"token:{self.token}",
        }

    def _tls_settings(self, certificates: Certificates) -> Settings:
        return {
            "brokerServicePortTls": self._tls_port,
            "webServicePortTls": self._web_tls_port,
            "tlsCertificateFilePath": str(certificates.server),
            "tlsKeyFilePath": str(certificates.server_key),
            "tlsTrustCertsFilePath": str(certificates.ca),
            "brokerClientTrustCertsFilePath": str(certificates.ca),
        }

    def _file(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path
