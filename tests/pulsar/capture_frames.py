"""Captures golden frames: `python tests/pulsar/capture_frames.py`, for the Rust test `golden_frames`.

The official Python client and the Java client talk to a real broker through a loopback proxy; the first frame of each
kind goes to `tests/data/frames/`. Run it again when the protocol grows, and look at the difference.
"""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pulsar

if __package__ in (None, ""):  # run as a script: make `tests` importable
    sys.path[0] = str(Path(__file__).parents[2])

from tests.pulsar.harness.fetch import distribution
from tests.pulsar.harness.standalone import Standalone

FRAMES = Path(__file__).parents[1] / "data" / "frames"
JAVA = Path(__file__).parent / "java" / "Capture.java"
LARGEST = 4096
SEND, MESSAGE = 6, 9
SETTINGS: dict[str, str] = {
    "transactionCoordinatorEnabled": "true",
    "acknowledgmentAtBatchIndexLevelEnabled": "true",
    "exposingBrokerEntryMetadataToClientEnabled": "true",
    "brokerEntryMetadataInterceptors": ",".join(
        f"org.apache.pulsar.common.intercept.Append{what}MetadataInterceptor" for what in ("BrokerTimestamp", "Index")
    ),
}


class Proxy:
    """Forwards connections to the broker and writes down the frames that pass, each kind once."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.broker: tuple[str, int] | None = None
        self.scenario = ""
        self._lock = threading.Lock()

    def serve(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            broker = socket.create_connection(self.broker or ("", 0))
            for source, target in ((client, broker), (broker, client)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with source, target, source.makefile("rb") as stream:
            try:
                while size := stream.read(4):
                    frame = size + stream.read(int.from_bytes(size, "big"))
                    self._record(frame)
                    target.sendall(frame)
            except OSError:
                return  # the other direction closed both

    def _record(self, frame: bytes) -> None:
        kind = frame[9]  # behind two sizes and the key of the field `type`
        client, _, step = self.scenario.partition(".")
        name = f"{client}-{kind:02}" + (f"-{step}" if kind in (SEND, MESSAGE) else "")
        path = FRAMES / f"{name}.bin"
        with self._lock:
            if len(frame) <= LARGEST and not path.exists():
                path.write_bytes(frame)


def official(url: str, step: Callable[[str], None]) -> None:
    """What the official Python client can do."""
    client = pulsar.Client(url, listener_name="proxy")
    step("plain")
    producer = client.create_producer("frames", schema=pulsar.schema.StringSchema(), batching_enabled=False)
    consumer = client.subscribe(
        "frames", "frames", pulsar.ConsumerType.Shared, negative_ack_redelivery_delay_ms=100,
        schema=pulsar.schema.StringSchema(), properties={"team": "frames"},
    )  # fmt: skip
    producer.send("plain")
    consumer.negative_acknowledge(consumer.receive(10_000))
    consumer.acknowledge(consumer.receive(10_000))
    step("rich")
    producer.send(
        "rich", properties={"colour": "blue", "größe": "über"}, partition_key="key", ordering_key="order",
        event_timestamp=1_700_000_000_000, replication_clusters=["standalone"], deliver_at=1_700_000_000_000,
    )  # fmt: skip
    consumer.acknowledge(consumer.receive(10_000))
    step("lookups")
    consumer.seek(1)
    consumer.seek(pulsar.MessageId.earliest)
    consumer.get_last_message_id()
    consumer.unsubscribe()
    producer.close()
    for compression in ("LZ4", "ZLib", "ZSTD", "SNAPPY", "NONE"):
        step(f"batch-{compression.lower()}")
        topic = f"batch-{compression}"
        batched = client.create_producer(
            topic, compression_type=getattr(pulsar.CompressionType, compression),
            batching_enabled=True, batching_max_publish_delay_ms=5000,
        )  # fmt: skip
        exclusive = client.subscribe(topic, "s", batch_index_ack_enabled=True)
        for number in range(3):
            batched.send_async(b"text " * 8 + bytes([48 + number]), None, partition_key=f"key-{number}")
        batched.flush()
        exclusive.acknowledge(exclusive.receive(10_000))
        exclusive.acknowledge_cumulative(exclusive.receive(10_000))
        exclusive.close()
        batched.close()
    client.close()


def java(step: Callable[[str], None], url: str, admin_url: str) -> None:
    """What only the reference client can do; it prints each step before it takes it."""
    command = ["java", "-cp", f"{distribution()}/lib/*", str(JAVA), url, admin_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdin
        for line in process.stdout:
            if line.startswith("step "):
                step(line.split()[1])
                process.stdin.write("\n")
                process.stdin.flush()
    if process.returncode:
        raise SystemExit("the Java client failed")


def main() -> None:
    FRAMES.mkdir(parents=True, exist_ok=True)
    for old in FRAMES.glob("*.bin"):
        old.unlink()
    proxy = Proxy()
    broker = Standalone(SETTINGS)
    host, port = broker.service_url.removeprefix("pulsar://").split(":")
    proxy.broker = (host, int(port))
    listeners = f"internal:{broker.service_url},proxy:pulsar://127.0.0.1:{proxy.port}"
    broker.configure({"advertisedListeners": listeners, "internalListenerName": "internal", "advertisedAddress": ""})

    def step(name: str) -> None:
        time.sleep(0.5)  # what the last step set off is still under way, and nothing tells when it ends
        proxy.scenario = f"{client}.{name}"

    with broker:
        proxy.serve()
        url = f"pulsar://127.0.0.1:{proxy.port}"
        client = "official"
        official(url, step)
        client = "java"
        java(step, url, broker.admin_url)
    captured = sum(1 for _ in FRAMES.glob("*.bin"))
    print(f"{captured} frames in {FRAMES}")


if __name__ == "__main__":
    main()
