"""`enroll config` shows every setting as the processes would read it, and no secret."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.capacity.settings import CapacitySettings
from services.cli.config_commands import shown
from services.cli.main import app
from services.enrollment.ingress.settings import IngressSettings
from services.enrollment.settings import EnrollmentSettings
from services.student.settings import StudentSettings
from shared.settings import ServiceSettings

ROOT = Path(__file__).parents[3]
KINDS: list[type[ServiceSettings]] = [
    EnrollmentSettings,
    StudentSettings,
    CapacitySettings,
    IngressSettings,
]
GIVEN = [
    "DATABASE_URL",
    "REDIS_URL",
    "DATABASE_CIRCUIT_FAILURE_THRESHOLD",
    "DATABASE_CIRCUIT_RECOVERY_TIMEOUT",
    "REDIS_CIRCUIT_FAILURE_THRESHOLD",
    "IDEMPOTENCY_DEFAULT_TTL",
    "IDEMPOTENCY_KEY_PREFIX",
    "LOG_LEVEL",
    "STRUCTURED_LOGGING",
    "ENABLE_CIRCUIT_BREAKERS",
    "ENABLE_IDEMPOTENCY",
    "ENABLE_STRUCTURED_LOGGING",
]


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name.upper() for kind in KINDS for name in kind.model_fields}
    for name in os.environ:
        if name.upper() in names or name.startswith("CELERY_"):
            monkeypatch.delenv(name)


@pytest.fixture
def _all_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "DATABASE_URL", "postgresql://ana:p4ss:w/rd@db:5432/x?sslpassword=s3cret&a=b"
    )
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("REDIS_URL", "redis://:p4ss@cache:6379/0")
    monkeypatch.setenv("INSECURE_DEV", "true")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["config", *arguments], prog_name="enroll")


def told() -> tuple[int, dict[str, Any]]:
    result = run("--json")
    data: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, data


def setting(data: dict[str, Any], process: str, variable: str) -> dict[str, Any]:
    [found] = [one for one in data["processes"][process] if variable in one["environment"]]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_says_what_it_means(kind: type[ServiceSettings]) -> None:
    assert not [name for name, field in kind.model_fields.items() if not field.description]


@pytest.mark.usefixtures("_all_is_set")
def test_every_setting_of_every_process_is_shown() -> None:
    code, data = told()

    assert code == 0
    assert data["is_fine"]
    assert list(data["processes"]) == ["enrollment", "student", "capacity", "ingress"]
    for kind in KINDS:
        assert len(data["processes"][kind.service]) == len(kind.model_fields)


@pytest.mark.parametrize("variable", GIVEN)
def test_the_names_that_were_given_are_those_of_the_ingress(variable: str) -> None:
    assert setting(told()[1], "ingress", variable)["meaning"]


@pytest.mark.usefixtures("_all_is_set")
def test_values_defaults_and_meanings_are_shown_and_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENABLE_STRUCTURED_LOGGING", "false")

    code, data = told()

    assert code == 0
    assert setting(data, "student", "DATABASE_URL") == {
        "environment": ["DATABASE_URL"],
        "is_required": True,
        "default": None,
        "value": "postgresql://ana:***@db:5432/x?sslpassword=***&a=b",
        "meaning": "PostgreSQL URL of this service's own database",
        "problem": None,
    }
    assert setting(data, "ingress", "REDIS_URL")["value"] == "redis://:***@cache:6379/0"
    assert setting(data, "ingress", "REDIS_URL")["default"] == "redis://127.0.0.1:6379/0"
    assert setting(data, "ingress", "STRUCTURED_LOGGING")["value"] == "false"
    assert setting(data, "ingress", "STRUCTURED_LOGGING")["default"] == "true"
    assert setting(data, "ingress", "JWT_JWKS_URL")["default"] is None
    assert setting(data, "enrollment", "PENDING_MAX")["value"] is None
    assert setting(data, "enrollment", "PENDING_MAX")["default"] == "2000"
    assert "p4ss" not in json.dumps(data)
    assert "s3cret" not in json.dumps(data)


@pytest.mark.usefixtures("_all_is_set")
def test_people_see_a_table_for_each_process() -> None:
    result = run()

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for process in ("enrollment", "student", "capacity", "ingress"):
        assert process in lines
    [line] = [line for line in lines if line.startswith("HTTP_PORT")]
    assert line.split()[:3] == ["HTTP_PORT", "8080", "-"]
    assert line.endswith("the port to listen on; 0: any")
    assert "p4ss" not in result.stdout


@pytest.mark.usefixtures("_all_is_set")
def test_a_bad_value_is_shown_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PORT", "80800")
    monkeypatch.setenv("IDEMPOTENCY_TTL", "{bad")

    code, data = told()
    result = run()

    assert code == result.exit_code == 1
    assert not data["is_fine"]
    assert setting(data, "ingress", "HTTP_PORT")["value"] == "80800"
    assert "less than or equal to 65535" in setting(data, "ingress", "HTTP_PORT")["problem"]
    assert "HTTP_PORT is bad: Input should be less than or equal to 65535" in result.stdout
    assert "IDEMPOTENCY_TTL is bad: write one JSON object" in result.stdout


@pytest.mark.usefixtures("_all_is_set")
def test_a_bad_value_that_several_processes_read_is_bad_in_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENABLE_STRUCTURED_LOGGING", "perhaps")

    assert run().stdout.count("STRUCTURED_LOGGING is bad: ") == 4


def test_what_is_missing_is_told_and_is_not_bad() -> None:
    result = run()

    assert result.exit_code == 0
    assert "DATABASE_URL is not set: Field required" in result.stdout
    assert "JWT_JWKS_URL is not set: name the issuer's keys" in result.stdout
    assert "(must be set)" in result.stdout


@pytest.mark.usefixtures("_all_is_set")
def test_variables_of_the_older_system_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://ana:p4ss@mq")

    code, data = told()

    assert code == 0
    assert data["replaced"] == [
        "CELERY_BROKER_URL is not read: requests wait in Kafka: set KAFKA_BOOTSTRAP_SERVERS"
    ]
    assert "p4ss" not in json.dumps(data)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("", ""),
        ("500", "500"),
        ("kafka-1:9092,kafka-2:9092", "kafka-1:9092,kafka-2:9092"),
        ("postgresql://ana@db/x", "postgresql://ana@db/x"),
        ("postgresql://ana:@db/x", "postgresql://ana:***@db/x"),
        ("postgresql://ana:a@b:c/d@db/x", "postgresql://ana:***@db/x"),
        ("http://u:p@h1:1,http://u2:p2@h2:2", "http://u:***@h2:2"),
        ("https://x/keys?api_key=abc&token=d", "https://x/keys?api_key=***&token=***"),
        ("host=db password=abc", "***"),
        ("ana:abc@db", "***"),
    ],
)
def test_a_value_is_shown_without_passwords(value: str, seen: str) -> None:
    assert shown(value) == seen


def test_a_secret_that_is_no_url_is_hidden_wholly() -> None:
    assert shown("abc", is_secret=True) == "***"
