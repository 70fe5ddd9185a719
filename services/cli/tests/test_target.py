from pathlib import Path

import pytest

from services.cli.output import CliError
from services.cli.target import NOTHING_RUNS, find_target, with_database


def test_the_environment_names_both_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://boss:secret@db:5432/postgres")

    target = find_target()

    assert target.kafka_url == "kafka:9092"
    assert target.database_urls == {
        "enrollment": "postgresql://boss:secret@db:5432/enrollment",
        "student": "postgresql://boss:secret@db:5432/student",
        "capacity": "postgresql://boss:secret@db:5432/capacity",
    }


def test_the_ingress_is_audited_too_and_its_dead_letters_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://boss:secret@db:5432/postgres")

    target = find_target()

    ingress = {"ingress": "postgresql://boss:secret@db:5432/ingress"}
    assert target.audited_urls == {**target.database_urls, **ingress}
    assert target.database_url("ingress") == ingress["ingress"]
    with pytest.raises(CliError, match="no service library"):
        target.database_url("library")


def test_where_nothing_runs_a_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("ENROLL_STATE_DIR", str(tmp_path))

    with pytest.raises(CliError, match="nothing is running here") as raised:
        find_target()

    assert str(raised.value) == NOTHING_RUNS


def test_a_service_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/postgres")

    with pytest.raises(CliError, match="no service billing: name one of enrollment"):
        find_target().database_url("billing")


def test_a_database_name_is_replaced_and_options_are_kept() -> None:
    url = with_database("postgresql://a:b@h:1/postgres?sslmode=require", "student")

    assert url == "postgresql://a:b@h:1/student?sslmode=require"
