"""A small real cluster on loopback: one ZooKeeper, two bookies, two brokers, each a process of its own."""

import subprocess
from types import TracebackType
from typing import Self

from tests.pulsar.harness.admin import Admin
from tests.pulsar.harness.fetch import distribution
from tests.pulsar.harness.ports import free_port, is_open
from tests.pulsar.harness.process import HarnessError, Process, remove_directory, temporary_directory
from tests.pulsar.harness.settings import SMALL, TUNED, Settings, write_settings
from tests.pulsar.harness.wait import wait_until

GC = "-XX:+UseSerialGC -XX:+PerfDisableSharedMem"
JAVA = {"PULSAR_GC": GC, "PULSAR_GC_LOG": " ", "BOOKIE_GC": GC, "BOOKIE_GC_LOG": " "}
# How long a broker may be silent before its topics move, in milliseconds.
SESSION_TIMEOUT = 4000
BROKERS = range(2)
BOOKIES = range(2)


class Cluster:
    """Brokers are numbered from 0. Use as a context manager, or `close()` it."""

    def __init__(self, settings: Settings | None = None, *, ready_timeout: float = 240) -> None:
        self._own = settings or {}
        self._timeout = ready_timeout
        self._home = distribution()
        self.directory = temporary_directory("pulsar-cluster-")
        self._processes: dict[str, Process] = {}
        self._zookeeper = free_port()
        self._bookie_ports = [free_port() for _ in BOOKIES]
        self._ports = [free_port() for _ in BROKERS]
        self._web_ports = [free_port() for _ in BROKERS]
        self._store = f"zk:127.0.0.1:{self._zookeeper}"
        self.service_url = "pulsar://" + self._hosts(self._ports)
        self.admins = [Admin(f"http://127.0.0.1:{port}") for port in self._web_ports]

    @staticmethod
    def _hosts(ports: list[int]) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in ports)

    def start(self) -> Self:
        try:
            self._start_zookeeper()
            self._initialize()
            for number in BOOKIES:
                self._start_bookie(number)
            for number in BROKERS:
                self._launch_broker(number)
            for number in BROKERS:
                self._wait_for_broker(number)
        except BaseException:
            self.close()
            raise
        return self

    @property
    def admin(self) -> Admin:
        """The admin interface of a broker that runs."""
        for number in BROKERS:
            if self.is_running(number):
                return self.admins[number]
        raise HarnessError("no broker of the cluster runs")

    def is_running(self, number: int) -> bool:
        process = self._processes.get(f"broker{number}")
        return process is not None and process.alive()

    def owner(self, topic: str) -> int:
        """The number of the broker that serves the topic."""
        url = self.admin.broker_of(topic)
        return self._ports.index(int(url.rsplit(":", 1)[1].strip("/")))

    def kill_broker(self, number: int) -> None:
        """SIGKILL: its clients see a closed connection, its topics move when its session has timed out."""
        self._processes.pop(f"broker{number}").kill()

    def stop_broker(self, number: int) -> None:
        """A graceful end: topics are handed over, clients are told."""
        self._processes.pop(f"broker{number}").stop(timeout=30)

    def start_broker(self, number: int) -> None:
        """Starts a broker that was stopped or killed, on its ports, and waits until it serves."""
        self._launch_broker(number)
        self._wait_for_broker(number)

    def close(self) -> None:
        for process in reversed(list(self._processes.values())):
            process.kill()
        self._processes.clear()
        remove_directory(self.directory)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _launch(self, role: str, command: list[str], env: dict[str, str]) -> Process:
        if role in self._processes:
            raise HarnessError(f"{role} is running already")
        env = {**JAVA, **env, "PULSAR_LOG_DIR": str(self.directory / "log")}
        process = Process(role, [str(self._home / "bin" / "pulsar"), *command], env, self.directory / f"{role}.log")
        self._processes[role] = process
        return process

    def _start_zookeeper(self) -> None:
        configuration = self.directory / "zookeeper.conf"
        lines = ["tickTime=1000", "initLimit=10", "syncLimit=5", f"dataDir={self.directory / 'zookeeper'}"]
        lines += [
            f"clientPort={self._zookeeper}",
            "clientPortAddress=127.0.0.1",
            "admin.enableServer=false",
            "forceSync=no",
        ]
        configuration.write_text("\n".join(lines) + "\n")
        env = {"PULSAR_ZK_CONF": str(configuration), "PULSAR_MEM": "-Xms64m -Xmx192m"}
        process = self._launch("zookeeper", ["zookeeper"], env)
        wait_until("zookeeper", lambda: is_open(self._zookeeper), timeout=self._timeout, process=process)

    def _initialize(self) -> None:
        command = ["initialize-cluster-metadata", "--cluster", "lab", "--initial-num-transaction-coordinators", "2"]
        command += ["--metadata-store", self._store, "--configuration-metadata-store", self._store]
        command += [
            "--web-service-url",
            "http://" + self._hosts(self._web_ports),
            "--broker-service-url",
            self.service_url,
        ]
        env = {"PULSAR_MEM": "-Xmx192m -XX:TieredStopAtLevel=1"}
        process = self._launch("initialize", command, env)
        try:
            if process.wait(self._timeout):
                raise HarnessError(f"initialising the cluster failed:\n{process.tail()}")
        except subprocess.TimeoutExpired:
            raise HarnessError(f"initialising the cluster took over {self._timeout:.0f} s:\n{process.tail()}") from None
        finally:
            self._processes.pop("initialize").kill()

    def _start_bookie(self, number: int) -> None:
        role, port = f"bookie{number}", self._bookie_ports[number]
        configuration = self.directory / f"{role}.conf"
        settings: Settings = {
            "bookiePort": port,
            "advertisedAddress": "127.0.0.1",
            "listeningInterface": "lo",
            "allowLoopback": "true",
            "metadataServiceUri": f"zk+hierarchical://127.0.0.1:{self._zookeeper}/ledgers",
            "zkServers": "",
            "zkTimeout": SESSION_TIMEOUT,
            "journalDirectory": str(self.directory / role / "journal"),
            "ledgerDirectories": str(self.directory / role / "ledgers"),
            "journalSyncData": "false",
            "httpServerEnabled": "false",
            "extraServerComponents": "",
            # The default provider of statistics listens on port 8000, in every bookie.
            "statsProviderClass": "org.apache.bookkeeper.stats.NullStatsProvider",
            "dbStorage_writeCacheMaxSizeMb": 32,
            "dbStorage_readAheadCacheMaxSizeMb": 16,
            "dbStorage_rocksDB_blockCacheSize": 16 << 20,
            "diskUsageThreshold": "0.99",
            "diskUsageWarnThreshold": "0.98",
        }
        write_settings(self._home / "conf" / "bookkeeper.conf", configuration, settings)
        env = {
            "PULSAR_BOOKKEEPER_CONF": str(configuration),
            "BOOKIE_MEM": "-Xms64m -Xmx256m -XX:MaxDirectMemorySize=256m",
        }
        process = self._launch(role, ["bookie"], env)
        wait_until(role, lambda: is_open(port), timeout=self._timeout, process=process)

    def _launch_broker(self, number: int) -> None:
        role = f"broker{number}"
        configuration = self.directory / f"{role}.conf"
        settings: Settings = {
            **SMALL,
            **TUNED,
            "metadataStoreUrl": self._store,
            "configurationMetadataStoreUrl": self._store,
            "metadataStoreSessionTimeoutMillis": SESSION_TIMEOUT,
            "clusterName": "lab",
            "brokerServicePort": self._ports[number],
            "webServicePort": self._web_ports[number],
            "managedLedgerDefaultEnsembleSize": len(BOOKIES),
            "managedLedgerDefaultWriteQuorum": len(BOOKIES),
            "managedLedgerDefaultAckQuorum": len(BOOKIES),
            "managedLedgerCacheSizeMB": 64,
            "defaultNumberOfNamespaceBundles": 4,
            **self._own,
        }
        write_settings(self._home / "conf" / "broker.conf", configuration, settings)
        env = {"PULSAR_BROKER_CONF": str(configuration), "PULSAR_MEM": "-Xms128m -Xmx512m -XX:MaxDirectMemorySize=512m"}
        self._launch(role, ["broker"], env)

    def _wait_for_broker(self, number: int) -> None:
        process = self._processes[f"broker{number}"]
        for path in ("/brokers/ready", "/brokers/health"):
            wait_until(
                f"broker{number}: {path}",
                lambda path=path: self.admins[number].get(path) == "ok",  # type: ignore[misc]
                timeout=self._timeout,
                process=process,
            )
