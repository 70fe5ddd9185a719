"""The settings that every service reads from its environment."""

from typing import ClassVar

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """What a service process needs to know; a bad value stops the start with a sentence."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    service: ClassVar[str] = "service"  # as logs and `enroll config` name it

    database_url: str = Field(description="PostgreSQL URL of this service's own database")
    kafka_bootstrap_servers: str = Field(description="Kafka's bootstrap address")
    admin_host: str = Field(
        default="127.0.0.1",
        description="address of the admin server; whoever reaches it can reset breakers",
    )
    admin_port: int = Field(
        default=0, ge=0, le=65535, description="port of /metrics, /health and /breakers; 0: any"
    )
    instance: str = Field(
        default="1", description="names this process slot; stable across restarts, unique"
    )
    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="what is less grave than this is not logged: DEBUG, INFO, WARNING or ERROR",
    )
    structured_logging: bool = Field(
        default=True,
        validation_alias=AliasChoices("structured_logging", "enable_structured_logging"),
        description="one JSON object a line; false: plain text",
    )
    batch_size_max: int = Field(default=500, ge=1, le=5000, description="events in a transaction")
    batch_interval_seconds_max: float = Field(
        default=0.0, ge=0, le=1, description="seconds between the beginnings of batches under load"
    )
    relay_batch_size_max: int = Field(
        default=1000, ge=1, le=10_000, description="events that the relay publishes at a time"
    )
    trace_sample_ratio: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the traces begun here that are recorded; they go where "
        "OTEL_EXPORTER_OTLP_ENDPOINT says, and nowhere without it",
    )
    session_timeout_seconds: float = Field(
        default=10, ge=6, le=300, description="seconds without a sign after which a member has gone"
    )
