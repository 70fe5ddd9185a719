"""Whoever comes from the older system is told what has replaced its variables."""

import logging

import pytest

from services.enrollment.ingress.legacy import find_replaced, warn_of_replaced


def test_variables_of_our_own_are_not_mentioned() -> None:
    assert find_replaced(["DATABASE_URL", "REDIS_URL", "PATH", "MY_CELERY_THING"]) == []


@pytest.mark.parametrize(
    ("variable", "instead"),
    [
        ("CELERY_BROKER_URL", "KAFKA_BOOTSTRAP_SERVERS"),
        ("CELERY_RESULT_BACKEND", "DATABASE_URL"),
        ("CELERY_TASK_TIME_LIMIT", "DEADLINE_MAXIMUM_SECONDS"),
        ("CELERY_WORKER_CONCURRENCY", "--instances"),
        ("CELERY_ANYTHING_ELSE", "no Celery workers"),
        ("celery_broker_url", "KAFKA_BOOTSTRAP_SERVERS"),
        ("ENABLE_SAGA_PATTERN", "cannot be turned off"),
    ],
)
def test_each_variable_of_the_older_system_has_a_sentence(variable: str, instead: str) -> None:
    [sentence] = find_replaced([variable])

    assert sentence.startswith(f"{variable.upper()} is not read: ")
    assert instead in sentence


def test_each_is_a_warning_of_its_own_and_tells_no_value(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_replaced({"CELERY_BROKER_URL": "amqp://ana:secret@mq", "ENABLE_SAGA_PATTERN": "true"})

    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "secret" not in caplog.text
