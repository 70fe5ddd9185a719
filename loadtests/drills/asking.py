"""What drills ask for beside the steady load: what is late, what is cancelled, and many reads."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import Final

import aiohttp

from deploy.local.errors import StackError
from loadtests.chaos.recovery import wait_for
from loadtests.chaos.workload import TERM
from loadtests.drills.faults import held, meanwhile
from loadtests.drills.in_databases import session
from loadtests.drills.scene import Scene
from services.cli.publishing import publish
from services.cli.target import INGRESS
from shared.choreography import Service
from shared.events import EnrollmentCancellationRequested, EnrollmentRequested
from shared.identifiers import EnrollmentId, SectionId, StudentId, new_event_id

DEADLINE_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 0.1
READERS: Final = 24  # more than there are connections for them
ANSWER_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.1
CANCELLED: Final = 5
CONFIRMED_SECONDS_MAX: Final = 20.0


@contextmanager
def hasty_requests(scene: Scene) -> Iterator[None]:
    """Send requests with a short deadline, one after the other."""
    with meanwhile(partial(_ask_hastily, scene)):
        yield


def _ask_hastily(scene: Scene, stopping: Event) -> None:
    section = next(iter(scene.load.campus.seats))
    for student in scene.load.hasty:
        if stopping.wait(PAUSE_SECONDS):
            return
        publish(scene.target, _request(student, section, DEADLINE_SECONDS))


def _request(
    student: StudentId, section: SectionId, deadline_seconds: float | None = None
) -> EnrollmentRequested:
    return EnrollmentRequested(
        enrollment_id=EnrollmentId(new_event_id()),
        student_id=student,
        term=TERM,
        sections=(section,),
        deadline_seconds=deadline_seconds,
    )


@contextmanager
def cancelled_meanwhile(scene: Scene) -> Iterator[None]:
    """Have enrollments confirmed, and cancelled while who holds their seats is away."""
    section = list(scene.load.campus.seats)[-1]
    requests = [_request(student, section) for student in scene.load.hasty[-CANCELLED:]]
    for request in requests:
        publish(scene.target, request)
    _wait_until_confirmed(scene, [request.enrollment_id for request in requests])
    with held(scene, Service.CAPACITY):
        for request in requests:
            publish(
                scene.target,
                EnrollmentCancellationRequested(
                    enrollment_id=request.enrollment_id, student_id=request.student_id
                ),
            )
        yield


def _wait_until_confirmed(scene: Scene, enrollment_ids: Sequence[EnrollmentId]) -> None:
    with session(scene, Service.ENROLLMENT) as run:

        def are_confirmed() -> bool:
            [(count,)] = run(
                "SELECT count(*) FROM enrollment "
                "WHERE state = 'confirmed' AND enrollment_id = ANY($1)",
                enrollment_ids,
            )
            return bool(count == len(enrollment_ids))

        if not wait_for(are_confirmed, CONFIRMED_SECONDS_MAX):
            raise StackError(f"what is to be cancelled is not confirmed: {enrollment_ids}")


@contextmanager
def many_readers(scene: Scene) -> Iterator[None]:
    """Have many students look at their enrollments by HTTP, each again as soon as it has seen."""
    with session(scene, INGRESS) as run:
        rows = run(
            "SELECT DISTINCT ON (student_id) student_id, enrollment_id::text "
            "FROM viewed_enrollment ORDER BY student_id LIMIT $1",
            READERS,
        )
    looks = [(scene.ground.sign(StudentId(row[0])), row[1]) for row in rows]
    [url] = scene.ground.http_urls
    with meanwhile(lambda stopping: asyncio.run(_look_all(url, looks, stopping))):
        yield


async def _look_all(url: str, looks: list[tuple[str, str]], stopping: Event) -> None:
    limit = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=limit) as client,
        asyncio.TaskGroup() as group,
    ):
        for token, enrollment_id in looks:
            group.create_task(_look(client, f"{url}/enrollments/{enrollment_id}", token, stopping))


async def _look(client: aiohttp.ClientSession, url: str, token: str, stopping: Event) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    while not stopping.is_set():
        if not await _is_shown(client, url, headers):  # come back, and not at once
            await asyncio.sleep(LOOK_SECONDS)


async def _is_shown(client: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> bool:
    try:
        async with client.get(url, headers=headers) as answer:
            await answer.read()
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
