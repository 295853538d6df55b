"""`PulsarSettings`: every setting of the package, from arguments, `PulsarConfig`, the environment or its default."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from ..exceptions import SettingsError
from . import address, aliases, errors, options, overrides
from .unknown import warn_of_unknown_variables

SubscriptionType = Literal["Exclusive", "Shared", "Failover", "Key_Shared"]


class RoleSettings(BaseModel):
    """One entry of `PULSAR_ROLES_CONFIG`: a role and what it may do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    permissions: tuple[Literal["produce", "consume", "manage"], ...]


class PulsarSettings(BaseSettings):
    """Where the brokers are and how to talk to them.

    Each field is read from the variable `PULSAR_<NAME IN CAPITALS>`. An argument wins over what was set on
    `PulsarConfig`, that over the environment, that over the default. A `.env` file is read only when asked for, by
    `PulsarSettings(_env_file=".env")`. Equal settings are equal objects, which share their connections.

    Raises:
        SettingsError: A value breaks its rule, or two contradict each other. The text names variable and rule, never
            the value.
    """

    model_config = SettingsConfigDict(env_prefix="PULSAR_", env_ignore_empty=True, frozen=True, extra="ignore")

    enabled: bool = True
    namespace: str = "public/default"
    test_localhost: bool = False

    advertised_address: str = "localhost"
    broker_port: int = Field(6650, ge=1, le=65535)
    service_url: str = ""
    listener_name: str | None = None
    connection_timeout_ms: int = Field(10_000, gt=0)
    operation_timeout_ms: int = Field(30_000, gt=0)
    keep_alive_interval_seconds: float = Field(30.0, gt=0)
    connections_per_broker: int = Field(1, ge=1)
    memory_limit_bytes: int = Field(64 << 20, ge=0)

    auth_token: SecretStr | None = None
    jwt_token: SecretStr | None = None

    tls_enabled: bool | None = None
    tls_cert_path: str | None = None
    tls_key_path: str | None = None
    tls_ca_path: str | None = None
    tls_verify_hostname: bool = True
    tls_allow_insecure: bool = False

    producer_send_timeout_ms: int = Field(30_000, ge=0)
    producer_block_if_queue_full: bool = True
    producer_max_pending_messages: int = Field(1000, ge=0)
    producer_batching_enabled: bool = True
    producer_batching_max_messages: int = Field(1000, ge=1)
    producer_batching_max_delay_ms: float = Field(1, ge=0)
    producer_compression: Literal["none", "lz4", "zlib", "zstd", "snappy"] = "none"

    breaker_failure_threshold: int = Field(5, ge=0)
    breaker_recovery_seconds: float = Field(30.0, gt=0)

    consumer_subscription_type: SubscriptionType = "Shared"
    consumer_ack_timeout_ms: int = Field(0, ge=0)
    consumer_nack_redelivery_delay_ms: int = Field(1000, ge=0)
    consumer_receiver_queue_size: int = Field(1000, ge=1)
    consumer_dlq_max_redeliver_count: int = Field(3, ge=0)
    consumer_dlq_topic: str | None = None

    retry_max_retries: int = Field(5, ge=0)
    retry_initial_backoff_ms: int = Field(100, gt=0)
    retry_max_backoff_ms: int = Field(10_000, gt=0)

    stats_interval_seconds: float = Field(60, gt=0)
    metrics_enabled: bool = True
    metrics_interval_seconds: float = Field(60, gt=0)
    health_timeout_ms: int = Field(3000, gt=0)
    health_backlog_limit: int = Field(0, ge=0)
    health_stall_seconds: float = Field(0, ge=0)
    roles_config: tuple[RoleSettings, ...] = (
        RoleSettings(name="admin", permissions=("produce", "consume", "manage")),
        RoleSettings(name="service", permissions=("produce", "consume")),
        RoleSettings(name="client", permissions=("consume",)),
    )

    def __init__(self, **values: Any) -> None:
        errors.refuse_unknown_arguments(values, type(self).model_fields)
        errors.refuse_missing_env_file(values.get("_env_file"))
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(errors.describe(error, given=values)) from None
        except SourceError as error:
            raise SettingsError(errors.describe_source(error)) from None
        warn_of_unknown_variables(type(self).model_fields)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order of precedence, the strongest first."""
        return (
            init_settings,
            overrides.Source(settings_cls),
            env_settings,
            aliases.Source(settings_cls, env_settings),
            dotenv_settings,
            aliases.Source(settings_cls, dotenv_settings),
        )

    @field_validator("namespace")
    @classmethod
    def _namespace_is_tenant_and_name(cls, value: str) -> str:
        return address.checked_namespace(value)

    @field_validator("service_url")
    @classmethod
    def _url_is_well_formed(cls, value: str) -> str:
        return address.checked_url(value) if value else value

    @model_validator(mode="after")
    def _nothing_contradicts(self) -> Self:
        address.refuse_contradictions(self)
        # Resolved once, so that settings that mean the same place are equal however they were written.
        object.__setattr__(self, "service_url", address.resolved_url(self))
        return self

    @property
    def token(self) -> SecretStr | None:
        """The token to authenticate with: `auth_token`, or `jwt_token`, which may not differ from it."""
        return self.auth_token or self.jwt_token

    @property
    def tls(self) -> bool:
        """Whether connections use TLS: the scheme of `service_url` decides."""
        return self.service_url.startswith("pulsar+ssl://")

    def topic(self, name: str) -> str:
        """The full name of a topic, a short one completed with `namespace`.

        Raises:
            InvalidTopicError: The name is malformed.
        """
        return address.full_topic(name, self.namespace)

    def client_options(self) -> dict[str, Any]:
        """What the engine's client takes, times in seconds."""
        return options.client_options(self)

    def producer_options(self) -> dict[str, Any]:
        """What the engine's producers take, times in seconds."""
        return options.producer_options(self)

    def consumer_options(self) -> dict[str, Any]:
        """What the engine's consumers take, times in seconds."""
        return options.consumer_options(self)
