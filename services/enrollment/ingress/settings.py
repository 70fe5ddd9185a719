"""What the ingress reads from its environment."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from services.enrollment.ingress.keys import LOOPBACK, check_jwks_url, read_pem
from services.enrollment.ingress.peer_addresses import read_peers
from shared.breaker import BreakerPolicy
from shared.settings import ServiceSettings

_Operation = Annotated[str, Field(pattern="^(create|cancel)$")]
_LifeSeconds = Annotated[int, Field(ge=1, le=31 * 24 * 3600)]


class CircuitSettings(ServiceSettings):
    """When the breakers of HTTP calls open, and how they close again."""

    enable_circuit_breakers: bool = Field(
        default=True, description="false: every call is tried, whatever failed before"
    )
    database_circuit_failure_threshold: int = Field(
        default=3, ge=1, description="failures in a row that open the database's breaker"
    )
    database_circuit_recovery_timeout: float = Field(
        default=30, gt=0, description="seconds that it stays open"
    )
    database_circuit_success_threshold: int = Field(
        default=2, ge=1, description="successes in a row that close it again"
    )
    redis_circuit_failure_threshold: int = Field(
        default=5, ge=1, description="failures in a row that open the breaker of Redis"
    )
    redis_circuit_recovery_timeout: float = Field(
        default=10, gt=0, description="seconds that it stays open"
    )
    redis_circuit_success_threshold: int = Field(
        default=3, ge=1, description="successes in a row that close it again"
    )
    kafka_circuit_failure_threshold: int = Field(
        default=5, ge=1, description="failures in a row that open the breaker of Kafka"
    )
    kafka_circuit_recovery_timeout: float = Field(
        default=10, gt=0, description="seconds that it stays open"
    )
    kafka_circuit_success_threshold: int = Field(
        default=3, ge=1, description="successes in a row that close it again"
    )
    database_timeout_seconds: float = Field(
        default=1, gt=0, description="seconds; a read that takes longer has failed"
    )
    redis_timeout_seconds: float = Field(
        default=0.25, gt=0, description="seconds; a call that takes longer has failed"
    )
    kafka_timeout_seconds: float = Field(
        default=2, gt=0, description="seconds; what Kafka has not acknowledged by then has failed"
    )

    @property
    def database_policy(self) -> BreakerPolicy:
        """Give the policy of the breaker around the database."""
        return BreakerPolicy(
            self.database_circuit_failure_threshold,
            self.database_circuit_recovery_timeout,
            self.database_circuit_success_threshold,
        )

    @property
    def redis_policy(self) -> BreakerPolicy:
        """Give the policy of the breaker around Redis."""
        return BreakerPolicy(
            self.redis_circuit_failure_threshold,
            self.redis_circuit_recovery_timeout,
            self.redis_circuit_success_threshold,
        )

    @property
    def kafka_policy(self) -> BreakerPolicy:
        """Give the policy of the breaker around Kafka."""
        return BreakerPolicy(
            self.kafka_circuit_failure_threshold,
            self.kafka_circuit_recovery_timeout,
            self.kafka_circuit_success_threshold,
        )


class AccessSettings(ServiceSettings):
    """Whose tokens count."""

    jwt_algorithm: Literal["RS256", "ES256", "EdDSA"] = Field(
        default="RS256", description="the one algorithm that a token may be signed with"
    )
    jwt_issuer: str = Field(default="enrollment", description="who must have issued a token")
    jwt_audience: str = Field(default="enrollment-api", description="whom it must be meant for")
    jwt_leeway_seconds: float = Field(
        default=30, ge=0, le=300, description="seconds by which clocks may differ"
    )
    insecure_dev: bool = Field(
        default=False,
        description="takes `Bearer student:ID` and `Bearer staff:NAME` for a token; loopback only",
    )
    jwt_public_key_file: Path | None = Field(
        default=None, description="PEM file of the issuer's public key"
    )
    jwt_jwks_url: str | None = Field(
        default=None, description="where the issuer publishes its keys, in place of the file"
    )
    staff_scope: str = Field(default="enrollment:staff", description="the scope of staff")
    student_scope: str = Field(
        default="enrollment:student", description="the scope of a student, who is the subject"
    )

    @field_validator("jwt_public_key_file")
    @classmethod
    def _holds_keys(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is not None and "jwt_algorithm" in info.data:
            read_pem(path, info.data["jwt_algorithm"])
        return path

    @field_validator("jwt_jwks_url")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        return None if url is None else check_jwks_url(url)


class IngressSettings(CircuitSettings, AccessSettings):
    """The settings of every service, and those of HTTP, Redis, tokens and bounds."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, validate_default=True)

    service: ClassVar[str] = "ingress"

    batch_interval_seconds_max: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="seconds between the beginnings of the view's batches under load",
    )
    batch_size_max: int = Field(
        default=2000,
        ge=1,
        le=5000,
        description="events in a transaction of the view: many of one enrollment cost one row",
    )
    http_host: str = Field(default="127.0.0.1", description="the address to listen on")
    http_port: int = Field(
        default=8080, ge=0, le=65535, description="the port to listen on; 0: any"
    )
    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"), description="where answers are remembered"
    )
    enable_idempotency: bool = Field(
        default=True,
        description="false: answers are not remembered; a request is decided once all the same",
    )
    idempotency_key_prefix: str = Field(
        default="idempotency:", description="how the keys in Redis begin"
    )
    idempotency_default_ttl: _LifeSeconds = Field(
        default=7200, description="seconds that an answer is remembered"
    )
    idempotency_ttl: Annotated[dict[_Operation, _LifeSeconds], NoDecode] = Field(
        default_factory=dict,
        description='other seconds by operation (create, cancel), such as {"create": 3600}',
    )
    body_bytes_max: int = Field(default=16 * 1024, ge=1024, description="bytes of the largest body")
    batch_body_bytes_max: int = Field(
        default=1024 * 1024, ge=1024, description="bytes of the largest body of a batch"
    )
    batch_requests_max: int = Field(default=500, ge=1, le=5000, description="requests in a batch")
    header_bytes_max: int = Field(
        default=16 * 1024,
        ge=1024,
        description="bytes of the largest request line and headers together",
    )
    request_read_seconds: float = Field(
        default=10,
        gt=0,
        description="seconds after which a request that is not read whole is refused",
    )
    keep_alive_seconds: float = Field(
        default=30, gt=0, description="seconds after which an idle connection is closed"
    )
    connections_max: int = Field(default=10_000, ge=1, description="connections at the same time")
    requests_in_flight_max: int = Field(
        default=1000, ge=1, description="requests at work at the same time; others get 503"
    )
    streams_max: int = Field(default=2000, ge=1, description="event streams at the same time")
    wait_seconds_max: float = Field(
        default=30, ge=0, description="seconds of the longest wait that `Prefer: wait=N` gets"
    )
    quota_student_per_second: float = Field(
        default=5,
        gt=0,
        description="requests of one student a second that are let through for long",
    )
    quota_student_burst: int = Field(
        default=30, ge=1, description="requests of one student that are let through at once"
    )
    quota_client_per_second: float = Field(
        default=5000, gt=0, description="requests of one client program a second, for long"
    )
    quota_client_burst: int = Field(
        default=20_000, ge=1, description="requests of one client program, at once"
    )
    shed_age_seconds: float = Field(
        default=10,
        gt=0,
        description="requests are refused while the oldest undecided one waits so many seconds",
    )
    shed_lag_seconds: float = Field(
        default=0.1,
        gt=0,
        description="requests are refused while the process is so many seconds late with its work",
    )
    stuck_age_seconds: float = Field(
        default=60, gt=0, description="a saga that runs so many seconds counts as stuck"
    )
    saga_steps_days: int = Field(
        default=30, ge=1, description="days for which the steps of ended sagas are kept"
    )
    admin_peers: str = Field(
        default="",
        description="admin addresses of all processes, such as http://10.0.0.1:9000,…; a host "
        "name that resolves to several stands for each",
    )

    @field_validator("jwt_jwks_url")
    @classmethod
    def _has_keys(cls, url: str | None, info: ValidationInfo) -> str | None:
        others = ("insecure_dev", "jwt_public_key_file")
        if url is None and all(name in info.data and not info.data[name] for name in others):
            raise ValueError(
                "name the issuer's keys: JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL "
                "(on a developer's machine INSECURE_DEV=true does without)"
            )
        return url

    @field_validator("idempotency_ttl", mode="before")
    @classmethod
    def _is_json(cls, text: Any) -> Any:
        """Read it here, where a bad value is one of the complaints, and not the end of all."""
        try:
            return json.loads(text) if isinstance(text, str) else text
        except ValueError:
            raise ValueError('write one JSON object, such as {"create": 3600}') from None

    @field_validator("admin_peers")
    @classmethod
    def _are_addresses(cls, peers: str) -> str:
        read_peers(peers)
        return peers

    @field_validator("redis_url")
    @classmethod
    def _is_of_redis(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("name it by redis://, rediss:// (with TLS) or unix://")
        return url

    @field_validator("http_host")
    @classmethod
    def _is_loopback(cls, host: str, info: ValidationInfo) -> str:
        if info.data.get("insecure_dev") and host not in LOOPBACK:
            raise ValueError("with INSECURE_DEV=true it listens on 127.0.0.1 only: set one of both")
        return host
