"""Settings of the application: a singleton made at import."""

from pydantic import Field
from pydantic_settings import BaseSettings


class PulsarSettings(BaseSettings):
    PULSAR_ADVERTISED_ADDRESS: str = "localhost"
    PULSAR_BROKER_PORT: int = 6650
    PULSAR_TLS_CERT_PATH: str = ""
    PULSAR_TLS_KEY_PATH: str = ""
    PULSAR_TLS_CA_PATH: str = ""
    PULSAR_AUTH_TOKEN: str = ""
    PULSAR_JWT_TOKEN: str = ""


class Settings(BaseSettings):
    PROJECT_NAME: str = "notes"
    ENVIRONMENT: str = "local"
    pulsar: PulsarSettings = Field(default_factory=PulsarSettings)


settings = Settings()
