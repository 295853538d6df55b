"""What `from fastapi_pulsar import …` offers is decided, not grown."""

import inspect

import fastapi_pulsar

NAMES = {
    "Ack",
    "Batch",
    "Consumer",
    "DeadLetter",
    "Deduplicate",
    "DeduplicationStore",
    "Delivery",
    "Exponential",
    "Key",
    "Message",
    "MessageId",
    "Nack",
    "Producer",
    "Property",
    "PulsarClient",
    "PulsarConfig",
    "PulsarError",
    "PulsarRouter",
    "PulsarSettings",
    "Reader",
    "ReplayReport",
    "Retry",
    "RetryPolicy",
    "Skip",
    "get_settings",
    "replay_dlq_messages",
    "install_as",
}


def test_all_is_closed_and_sorted() -> None:
    assert fastapi_pulsar.__all__ == sorted(NAMES)
    public = {
        name for name, value in vars(fastapi_pulsar).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == NAMES


def test_every_name_is_documented() -> None:
    assert [name for name in NAMES if not inspect.getdoc(getattr(fastapi_pulsar, name))] == []
