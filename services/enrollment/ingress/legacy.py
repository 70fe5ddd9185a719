"""Tells those who come from the older system what has replaced its variables."""

import logging
from collections.abc import Iterable
from typing import Final

LOGGER: Final = logging.getLogger(__name__)
CELERY: Final = "CELERY_"

REPLACED: Final = {
    "ENABLE_SAGA_PATTERN": "the saga is how the system works, and cannot be turned off; "
    "GET /queue/sagas shows it",
    "CELERY_BROKER_URL": "requests wait in Kafka: set KAFKA_BOOTSTRAP_SERVERS",
    "CELERY_RESULT_BACKEND": "outcomes are kept in PostgreSQL and found at "
    "GET /enrollments/{id}: set DATABASE_URL",
    "CELERY_TASK_TIME_LIMIT": "a request ends by its deadline: set DEADLINE_MAXIMUM_SECONDS",
    "CELERY_TASK_SOFT_TIME_LIMIT": "a request ends by its deadline: set DEADLINE_DEFAULT_SECONDS",
    "CELERY_WORKER_CONCURRENCY": "run more processes of a service (`enroll up --instances N`), "
    "or set BATCH_SIZE_MAX",
    "CELERY_WORKER_PREFETCH_MULTIPLIER": "events are read in batches: set BATCH_SIZE_MAX",
}
OTHERS_OF_CELERY: Final = (
    "there are no Celery workers: services read Kafka, retry by themselves, and park what they "
    "cannot decide (`enroll dead-letters list`)"
)


def find_replaced(variables: Iterable[str]) -> list[str]:
    """Give a sentence for each variable of the older system; never what it was set to."""
    names = sorted({name.upper() for name in variables})
    return [
        f"{name} is not read: {REPLACED.get(name, OTHERS_OF_CELERY)}"
        for name in names
        if name in REPLACED or name.startswith(CELERY)
    ]


def warn_of_replaced(variables: Iterable[str]) -> None:
    """Say it in the log, once at the start."""
    for sentence in find_replaced(variables):
        LOGGER.warning("%s", sentence)
