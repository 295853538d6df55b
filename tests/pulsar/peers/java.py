"""The reference client: `java/Peer.java`, compiled once a session against the distribution's jars, spoken to in JSON lines."""

import itertools
import json
import queue
import subprocess
import threading
from base64 import b64decode, b64encode
from pathlib import Path
from typing import IO, Any

from tests.pulsar.harness.fetch import distribution
from tests.pulsar.harness.process import HarnessError, remove_directory, temporary_directory
from tests.pulsar.peers.interface import EXCLUSIVE, PLAIN, ConsumerOptions, Outgoing, ProducerOptions, Received

SOURCE = Path(__file__).parents[1] / "java" / "Peer.java"
JVM = ["-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=ERROR"]
HASHING = {"java": "JavaStringHash", "murmur3": "Murmur3_32Hash", None: None}


class JavaError(RuntimeError):
    """An exception of the Java client; `kind` is its class."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class JavaProcess:
    """One JVM for the session; it ends when its stdin does, so also when this process dies."""

    def __init__(self) -> None:
        self._folder = temporary_directory("pulsar-java-")
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self._log = (self._folder / "java.log").open("wb")
        jars = f"{distribution() / 'lib'}/*"
        compiler = ["javac", "-nowarn", "-proc:none", "-cp", jars, "-d", str(self._folder), str(SOURCE)]
        result = subprocess.run(compiler, capture_output=True, text=True, timeout=300)
        if result.returncode:
            raise HarnessError(f"{SOURCE.name} does not compile:\n{result.stderr}")
        command = ["java", *JVM, "-cp", f"{self._folder}:{jars}", "Peer"]
        pipe = subprocess.PIPE
        # A session of its own: Ctrl-C is for the tests, which then close this.
        self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._log, start_new_session=True)
        self._answers: queue.Queue[bytes] = queue.Queue()
        assert self._child.stdin and self._child.stdout
        self._input: IO[bytes] = self._child.stdin
        self._thread = threading.Thread(target=self._read, args=(self._child.stdout,), daemon=True)
        self._thread.start()

    def _read(self, output: IO[bytes]) -> None:
        for line in output:
            self._answers.put(line)
        self._answers.put(b"")

    def new_id(self) -> str:
        return str(next(self._ids))

    def call(self, operation: str, *, timeout: float = 60, **arguments: Any) -> Any:
        """The answer to one request; raises `JavaError` for an exception over there."""
        request = json.dumps({"op": operation, **arguments}).encode() + b"\n"
        with self._lock:
            self._input.write(request)
            self._input.flush()
            try:
                line = self._answers.get(timeout=timeout)
            except queue.Empty:
                self._child.kill()  # its next answer would be taken for that of another request
                raise HarnessError(f"the Java peer did not answer `{operation}` within {timeout} s") from None
        if not line:
            raise HarnessError(f"the Java peer ended:\n{(self._folder / 'java.log').read_text()[-2000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise JavaError(answer["error"], answer["message"])
        return answer["ok"]

    def close(self) -> None:
        self._input.close()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(10)
        self._thread.join(10)
        assert self._child.stdout
        self._child.stdout.close()
        self._log.close()
        remove_directory(self._folder)


class JavaPeer:
    name = "java"

    def __init__(self, process: JavaProcess, service_url: str) -> None:
        self._process = process
        self._id = process.new_id()
        process.call("client", id=self._id, url=service_url)

    def producer(self, topic: str, options: ProducerOptions = PLAIN) -> "JavaProducer":
        handle = self._process.new_id()
        self._process.call(
            "producer",
            id=handle,
            client=self._id,
            topic=topic,
            name=options.name,
            batching=options.batching,
            batchMaxMessages=options.batch_max_messages,
            compression=options.compression.upper(),
            hashing=HASHING[options.hashing],  # "cpp" is a KeyError: Java has no such thing
            chunking=options.chunking,
            schema=options.schema,
            encryptionKey=options.encryption_key,
        )
        return JavaProducer(self._process, handle, options.schema)

    def consumer(self, topic: str, subscription: str, options: ConsumerOptions = EXCLUSIVE) -> "JavaConsumer":
        handle = self._process.new_id()
        policy = options.dead_letter
        self._process.call(
            "consumer",
            id=handle,
            client=self._id,
            topic=topic,
            subscription=subscription,
            type=options.type,
            name=options.name,
            nackDelay=int(options.negative_ack_delay * 1000),
            schema=options.schema,
            maxRedeliverCount=policy.max_redeliver_count if policy else None,
            deadLetterTopic=policy.topic if policy else None,
            initialSubscription=policy.initial_subscription if policy else None,
            retryLetters=options.retry_letters,
        )
        return JavaConsumer(self._process, handle)

    def reader(self, topic: str, after: bytes | None = None) -> "JavaReader":
        handle = self._process.new_id()
        self._process.call("reader", id=handle, client=self._id, topic=topic, after=_text(after))
        return JavaReader(self._process, handle)

    def close(self) -> None:
        self._process.call("close", id=self._id)


class _Handle:
    def __init__(self, process: JavaProcess, handle: str) -> None:
        self._process = process
        self._handle = handle

    def _call(self, operation: str, **arguments: Any) -> Any:
        return self._process.call(operation, id=self._handle, **arguments)

    def close(self) -> None:
        self._call("close")


class JavaProducer(_Handle):
    def __init__(self, process: JavaProcess, handle: str, schema: str | None) -> None:
        super().__init__(process, handle)
        self._value = "json" if schema in ("json", "avro") else "text"

    def send(self, message: Outgoing) -> bytes:
        return self.send_many([message])[0]

    def send_many(self, messages: list[Outgoing]) -> list[bytes]:
        return [
            b64decode(text) for text in self._call("send", messages=[self._describe(message) for message in messages])
        ]

    def _describe(self, message: Outgoing) -> dict[str, Any]:
        is_text = isinstance(message.key, str)
        return {
            "data": _text(message.data),
            self._value: message.value,
            "key": message.key if is_text else None,
            "keyBytes": None if is_text else _text(message.key),  # type: ignore[arg-type]
            "orderingKey": _text(message.ordering_key),
            "properties": message.properties,
            "eventTime": message.event_time,
            "deliverAfter": None if message.deliver_after is None else int(message.deliver_after * 1000),
            "sequenceId": message.sequence_id,
        }


class JavaReader(_Handle):
    def receive(self, timeout: float = 10) -> Received | None:
        return _received(self._call("read", wait=int(timeout * 1000)))


class JavaConsumer(_Handle):
    def receive(self, timeout: float = 10) -> Received | None:
        return _received(self._call("receive", wait=int(timeout * 1000)))

    def acknowledge(self, message: Received) -> None:
        self._call("ack", message=_text(message.message_id))

    def acknowledge_cumulative(self, message: Received) -> None:
        self._call("ack_cumulative", message=_text(message.message_id))

    def negative_acknowledge(self, message: Received) -> None:
        self._call("nack", message=_text(message.message_id))

    def reconsume_later(self, message: Received, delay: float) -> None:
        """Publishes it to the retry letter topic, or after too many times to the dead letter topic; `delay` in seconds."""
        self._call("reconsume_later", message=_text(message.message_id), delay=int(delay * 1000))

    def seek(self, message_id: bytes) -> None:
        self._call("seek", message=_text(message_id))


def _received(answer: dict[str, Any] | None) -> Received | None:
    if answer is None:
        return None
    return Received(
        data=_bytes(answer["data"]) or b"",
        tombstone=answer["data"] is None,
        message_id=b64decode(answer["messageId"]),
        topic=answer["topic"],
        key=answer["key"],
        key_bytes=_bytes(answer["keyBytes"]),
        ordering_key=_bytes(answer["orderingKey"]),
        properties=answer["properties"],
        event_time=answer["eventTime"] or None,
        redelivery_count=answer["redeliveryCount"],
        value=answer.get("value"),
    )


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
