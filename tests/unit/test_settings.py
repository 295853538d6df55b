import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from fastapi_pulsar.config import PulsarConfig, PulsarSettings, SettingsWarning, get_settings
from fastapi_pulsar.exceptions import InvalidTopicError, SettingsError

KEYS: list[tuple[str, str, str, Any]] = [
    ("PULSAR_ADVERTISED_ADDRESS", "pulsar.example", "service_url", "pulsar://pulsar.example:6650"),
    ("PULSAR_BROKER_PORT", "6651", "service_url", "pulsar://localhost:6651"),
    ("PULSAR_SERVICE_URL", "pulsar://a:1,b:2", "service_url", "pulsar://a:1,b:2"),
    ("PULSAR_TLS_ENABLED", "true", "service_url", "pulsar+ssl://localhost:6650"),
    ("PULSAR_TLS_CA_PATH", "/ca.pem", "tls_ca_path", "/ca.pem"),
    ("PULSAR_PRODUCER_SEND_TIMEOUT_MS", "1500", "producer_send_timeout_ms", 1500),
    ("PULSAR_PRODUCER_BLOCK_IF_QUEUE_FULL", "false", "producer_block_if_queue_full", False),
    ("PULSAR_PRODUCER_MAX_PENDING_MESSAGES", "7", "producer_max_pending_messages", 7),
    ("PULSAR_PRODUCER_BATCHING_ENABLED", "false", "producer_batching_enabled", False),
    ("PULSAR_PRODUCER_BATCHING_MAX_MESSAGES", "8", "producer_batching_max_messages", 8),
    ("PULSAR_PRODUCER_BATCHING_MAX_DELAY_MS", "9", "producer_batching_max_delay_ms", 9),
    ("PULSAR_PRODUCER_BATCHING_MAX_PUBLISH_DELAY_MS", "9", "producer_batching_max_delay_ms", 9),
    ("PULSAR_CONSUMER_SUBSCRIPTION_TYPE", "Key_Shared", "consumer_subscription_type", "Key_Shared"),
    ("PULSAR_CONSUMER_ACK_TIMEOUT_MS", "30000", "consumer_ack_timeout_ms", 30000),
    ("PULSAR_CONSUMER_NACK_REDELIVERY_DELAY_MS", "60000", "consumer_nack_redelivery_delay_ms", 60000),
    ("PULSAR_CONSUMER_NEGATIVE_ACK_REDELIVERY_DELAY_MS", "5", "consumer_nack_redelivery_delay_ms", 5),
    ("PULSAR_CONSUMER_RECEIVER_QUEUE_SIZE", "10", "consumer_receiver_queue_size", 10),
    ("PULSAR_CONSUMER_DLQ_MAX_REDELIVER_COUNT", "5", "consumer_dlq_max_redeliver_count", 5),
    ("PULSAR_CONSUMER_DLQ_TOPIC", "dead", "consumer_dlq_topic", "dead"),
    ("PULSAR_RETRY_MAX_RETRIES", "2", "retry_max_retries", 2),
    ("PULSAR_RETRY_INITIAL_BACKOFF_MS", "50", "retry_initial_backoff_ms", 50),
    ("PULSAR_RETRY_MAX_BACKOFF_MS", "2000", "retry_max_backoff_ms", 2000),
    ("PULSAR_STATS_INTERVAL_SECONDS", "30", "stats_interval_seconds", 30),
    ("PULSAR_METRICS_ENABLED", "false", "metrics_enabled", False),
    ("PULSAR_METRICS_INTERVAL_SECONDS", "15", "metrics_interval_seconds", 15),
    ("PULSAR_ENABLED", "false", "enabled", False),
    ("PULSAR_NAMESPACE", "shop/orders", "namespace", "shop/orders"),
    ("PULSAR_TEST_LOCALHOST", "1", "service_url", "pulsar://127.0.0.1:6650"),
]


@pytest.mark.parametrize(("variable", "text", "field", "value"), KEYS, ids=[key[0] for key in KEYS])
def test_every_key_is_effective(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: object
) -> None:
    assert getattr(PulsarSettings(), field) != value
    monkeypatch.setenv(variable, text)
    assert getattr(PulsarSettings(), field) == value


@pytest.mark.parametrize("variable", ["PULSAR_AUTH_TOKEN", "PULSAR_JWT_TOKEN"])
def test_either_token_is_the_token(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    assert PulsarSettings().token is None
    monkeypatch.setenv(variable, "secret-1")
    settings = PulsarSettings()
    assert settings.token is not None and settings.token.get_secret_value() == "secret-1"
    assert "secret-1" not in repr(settings)


def test_roles_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSAR_ROLES_CONFIG", json.dumps([{"name": "audit", "permissions": ["consume"]}]))
    assert PulsarConfig.SECURITY["roles"] == [{"name": "audit", "permissions": ["consume"]}]


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSAR_TLS_CERT_PATH", "")
    monkeypatch.setenv("PULSAR_BROKER_PORT", "")
    assert PulsarSettings() == PulsarSettings(broker_port=6650)


def test_argument_over_config_over_environment_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "producer_send_timeout_ms"
    assert PulsarSettings().producer_send_timeout_ms == 30_000
    monkeypatch.setenv("PULSAR_PRODUCER_SEND_TIMEOUT_MS", "1")
    assert PulsarSettings().producer_send_timeout_ms == 1
    PulsarConfig.PRODUCER["send_timeout_ms"] = 2
    assert PulsarSettings().producer_send_timeout_ms == get_settings().producer_send_timeout_ms == 2
    assert PulsarSettings(**{name: 3}).producer_send_timeout_ms == 3
    del PulsarConfig.PRODUCER["send_timeout_ms"]
    assert PulsarConfig.PRODUCER["send_timeout_ms"] == 1


def test_config_is_a_view_of_one_cached_object(monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_settings() is get_settings()
    assert PulsarConfig.SERVICE_URL == "pulsar://localhost:6650"
    monkeypatch.setenv("PULSAR_BROKER_PORT", "1")
    assert PulsarConfig.SERVICE_URL == "pulsar://localhost:6650"
    PulsarConfig.SERVICE_URLS = ["pulsar://a:1", "pulsar://b:2"]
    assert PulsarConfig.SERVICE_URL == "pulsar://a:1,b:2"
    PulsarConfig.CONSUMER = {"dead_letter_policy": {"max_redeliver_count": 9}}
    assert get_settings().consumer_dlq_max_redeliver_count == 9
    PulsarConfig.SECURITY["topic_roles"] = {"orders": ["service"]}
    assert PulsarConfig.SECURITY["topic_roles"] == {"orders": ["service"]}
    assert PulsarConfig.SECURITY["tls_enabled"] is False
    with pytest.raises(AttributeError):
        _ = PulsarConfig.NO_SUCH_NAME


def test_url_wins_over_address_and_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSAR_SERVICE_URL", "pulsar+ssl://here:6651")
    monkeypatch.setenv("PULSAR_ADVERTISED_ADDRESS", "there")
    settings = PulsarSettings()
    assert (settings.service_url, settings.tls) == ("pulsar+ssl://here:6651", True)


def test_equal_settings_are_equal_and_hash_alike() -> None:
    one, other = PulsarSettings(service_url="pulsar://h:6650"), PulsarSettings(service_url="pulsar://h:6650/")
    assert one == other and hash(one) == hash(other)


CONTRADICTIONS = [
    ({"PULSAR_SERVICE_URL": "pulsar://h", "PULSAR_TLS_ENABLED": "true"}, "PULSAR_TLS_ENABLED"),
    ({"PULSAR_SERVICE_URL": "pulsar+ssl://h", "PULSAR_TLS_ENABLED": "false"}, "PULSAR_TLS_ENABLED"),
    ({"PULSAR_AUTH_TOKEN": "canary-a", "PULSAR_JWT_TOKEN": "canary-b"}, "PULSAR_JWT_TOKEN"),
    ({"PULSAR_TLS_CERT_PATH": "/canary"}, "PULSAR_TLS_KEY_PATH"),
    ({"PULSAR_RETRY_INITIAL_BACKOFF_MS": "99999"}, "PULSAR_RETRY_MAX_BACKOFF_MS"),
]
BROKEN_RULES = [
    ({"PULSAR_SERVICE_URL": "http://canary"}, "PULSAR_SERVICE_URL: must start with pulsar://"),
    ({"PULSAR_SERVICE_URL": "pulsar://token:canary@host"}, "PULSAR_SERVICE_URL"),
    ({"PULSAR_SERVICE_URL": "pulsar://canary:99999"}, "PULSAR_SERVICE_URL: a port"),
    ({"PULSAR_BROKER_PORT": "canary"}, "PULSAR_BROKER_PORT: Input should be a valid integer"),
    ({"PULSAR_CONSUMER_SUBSCRIPTION_TYPE": "canary"}, "PULSAR_CONSUMER_SUBSCRIPTION_TYPE"),
    ({"PULSAR_PRODUCER_BATCHING_MAX_PUBLISH_DELAY_MS": "canary"}, "PULSAR_PRODUCER_BATCHING_MAX_PUBLISH_DELAY_MS"),
    ({"PULSAR_ROLES_CONFIG": "canary"}, "PULSAR_ROLES_CONFIG: Input should be valid JSON"),
    ({"PULSAR_ROLES_CONFIG": '[{"name": "a", "permissions": ["canary"]}]'}, "PULSAR_ROLES_CONFIG"),
    ({"PULSAR_NAMESPACE": "canary"}, "PULSAR_NAMESPACE: must be tenant/namespace"),
]


@pytest.mark.parametrize(("environment", "text"), CONTRADICTIONS + BROKEN_RULES)
def test_an_error_names_variable_and_rule_but_no_value(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], text: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        PulsarSettings()
    assert text in str(caught.value)
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_error_names_where_the_value_came_from() -> None:
    with pytest.raises(SettingsError, match="argument broker_port"):
        PulsarSettings(broker_port=0)
    with pytest.raises(SettingsError, match="did you mean 'broker_port'"):
        PulsarSettings(brokerport=1)
    PulsarConfig.PRODUCER["send_timeout_ms"] = "soon"
    with pytest.raises(SettingsError, match="PulsarConfig setting producer_send_timeout_ms"):
        get_settings()


def test_unknown_variables_close_to_a_known_one_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSAR_SERVICE_ULR", "pulsar://canary")
    with pytest.warns(SettingsWarning, match="PULSAR_SERVICE_ULR.*did you mean PULSAR_SERVICE_URL") as caught:
        PulsarSettings()
    assert "canary" not in str(caught[0].message)
    monkeypatch.delenv("PULSAR_SERVICE_ULR")
    monkeypatch.setenv("PULSAR_MEM", "-Xmx1g")
    monkeypatch.setenv("PULSAR_TEST_HOST", "h")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PulsarSettings()


def test_env_file_only_if_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "PULSAR_BROKER_PORT=1\nPULSAR_CONSUMER_DEAD_LETTER_TOPIC=dead\nOTHER_APPLICATIONS_VARIABLE=1\n"
    )
    monkeypatch.chdir(tmp_path)
    assert PulsarSettings().broker_port == 6650
    asked = PulsarSettings(_env_file=".env")
    assert (asked.broker_port, asked.consumer_dlq_topic) == (1, "dead")
    with pytest.raises(SettingsError, match="does not exist"):
        PulsarSettings(_env_file="missing.env")


def test_nothing_depends_on_pytest_being_imported() -> None:
    program = "{}from fastapi_pulsar.config import PulsarSettings; print(PulsarSettings().model_dump_json())"
    runs = [
        subprocess.run(
            [sys.executable, "-c", program.format(first)], check=True, capture_output=True, text=True, timeout=60
        ).stdout
        for first in ("", "import pytest; ")
    ]
    assert runs[0] == runs[1] != ""


def test_engine_options_are_in_seconds() -> None:
    settings = PulsarSettings(
        consumer_nack_redelivery_delay_ms=120_000, producer_send_timeout_ms=1500, operation_timeout_ms=2500
    )
    assert settings.client_options()["operation_timeout"] == 2.5
    assert settings.producer_options()["send_timeout"] == 1.5
    assert settings.consumer_options()["negative_ack_delay"] == {"initial": 120.0, "max": 120.0, "multiplier": 2.0}
    assert PulsarSettings().consumer_options()["negative_ack_delay"] == {"initial": 1.0, "max": 60.0, "multiplier": 2.0}


def test_engine_options_are_fields_of_the_engine() -> None:
    source = (Path(__file__).parents[2] / "src/client/options.rs").read_text()
    settings = PulsarSettings()
    for struct, options in (
        ("ClientOptions", settings.client_options()),
        ("TlsOptions", settings.client_options()["tls"]),
        ("ProducerOptions", settings.producer_options()),
        ("ConsumerOptions", settings.consumer_options()),
    ):
        body = source.split(f"pub struct {struct} {{", 1)[1].split("\n}", 1)[0]
        assert [name for name in options if f"pub {name}:" not in body and f"pub r#{name}:" not in body] == []


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("orders", "persistent://shop/sales/orders"),
        ("acme/eu/orders", "persistent://acme/eu/orders"),
        ("non-persistent://acme/eu/orders", "non-persistent://acme/eu/orders"),
    ],
)
def test_short_topic_names_are_completed(name: str, full: str) -> None:
    assert PulsarSettings(namespace="shop/sales").topic(name) == full


@pytest.mark.parametrize(
    "name", ["", " a", "a/b", "a/b/c/d", "kafka://a/b/c", "persistent://a/b", "persistent://a b/c/d"]
)
def test_malformed_topic_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidTopicError):
        PulsarSettings().topic(name)
