"""Broker settings, written over the configuration files that the distribution ships."""

from collections.abc import Mapping
from pathlib import Path

Settings = Mapping[str, str | int]

# What keeps a broker small and on loopback. None of these changes what a client can observe.
SMALL: Settings = {
    "bindAddress": "127.0.0.1",
    "advertisedAddress": "127.0.0.1",
    "numIOThreads": 2,
    "numHttpServerThreads": 8,
    "numExecutorThreadPoolSize": 2,
    "numOrderedExecutorThreads": 2,
    "numWorkerThreadsForNonPersistentTopic": 2,
    "bookkeeperClientNumIoThreads": 2,
    "managedLedgerCacheSizeMB": 128,
    "brokerShutdownTimeoutMs": 5000,
    "webSocketServiceEnabled": "false",
    "functionsWorkerEnabled": "false",
}

# The features that a broker has switched off, or runs coarsely, by default.
TUNED: Settings = {
    "acknowledgmentAtBatchIndexLevelEnabled": "true",
    "transactionCoordinatorEnabled": "true",
    "delayedDeliveryTickTimeMillis": 100,
    "brokerDeleteInactiveTopicsEnabled": "false",
    "exposeTopicLevelMetricsInPrometheus": "true",
    "exposePreciseBacklogInPrometheus": "true",
}


def write_settings(template: Path, target: Path, settings: Settings) -> None:
    """Writes `template` to `target` with the given settings in place of its own, new ones at the end."""
    lines = []
    missing = dict(settings)
    for line in template.read_text().splitlines():
        name = line.split("=", 1)[0].strip()
        if "=" not in line or name not in settings:
            lines.append(line)
        elif name in missing:
            lines.append(f"{name}={missing.pop(name)}")
    lines += [f"{name}={value}" for name, value in missing.items()]
    target.write_text("\n".join(lines) + "\n")
