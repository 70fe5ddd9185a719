"""What students ask for in a history: requests, cancels, repeats, and messages that contradict."""

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Final
from uuid import UUID

from services.simulation.plan import Publish
from services.simulation.registrar import STUDENTS, UNKNOWN, Registrar, message, raw_message
from services.simulation.scheduler import SECOND_US
from shared.choreography import REQUESTS
from shared.events import EnrollmentCancellationRequested, EnrollmentEvent, EnrollmentRequested
from shared.identifiers import EnrollmentId, StudentId

CANCELLED_SHARE: Final = 0.25
REPEATED_SHARE: Final = 0.2
ODD_SHARE: Final = 0.25
CARELESS_SHARE: Final = 0.05  # of the systems outside: with keys, and with ids of messages


class Requester:
    """Draws the requests; `enrollment_ids` has those that were asked for."""

    def __init__(self, random: Random, registrar: Registrar) -> None:
        self._random = random
        self._registrar = registrar
        self._number = 1000
        self.enrollment_ids: list[EnrollmentId] = []

    def requests(self, count: int, until_us: int) -> Iterator[Publish]:
        """Give so many requests, and what comes with them, at random times."""
        in_a_burst = self._random.random() < 0.5
        for number in range(1, count + 1):
            at_us = self._random.randrange(SECOND_US // 2 if in_a_burst else until_us)
            yield from self._saga(number, at_us, until_us)

    def _saga(self, number: int, at_us: int, until_us: int) -> Iterator[Publish]:
        random = self._random
        enrollment_id = EnrollmentId(UUID(int=(number << 64) | random.getrandbits(64)))
        self.enrollment_ids.append(enrollment_id)
        student_id = random.choice(self._registrar.students)
        request = self._request(at_us, number, enrollment_id, student_id)
        yield request
        if random.random() < REPEATED_SHARE:
            later_us = at_us + random.randrange(until_us)
            yield replace(request, at_us=later_us, tells=f"{request.tells}, again")
        if random.random() < CANCELLED_SHARE:
            asked_us = max(0, at_us + random.randrange(-SECOND_US, 3 * SECOND_US))
            cancel = self._cancel(asked_us, number, enrollment_id, student_id)
            yield cancel
            if random.random() < REPEATED_SHARE:
                later_us = asked_us + random.randrange(until_us)
                yield replace(cancel, at_us=later_us, tells=f"{cancel.tells}, again")
        if random.random() < ODD_SHARE:
            yield self._odd(at_us + random.randrange(-SECOND_US, until_us), number, enrollment_id)

    def _request(
        self, at_us: int, number: int, enrollment_id: EnrollmentId, student_id: StudentId
    ) -> Publish:
        sections = self._registrar.sections()
        if self._random.random() < 0.04:
            sections = (*sections, UNKNOWN)
        if self._random.random() < 0.04:
            student_id = StudentId("S0")
        event = EnrollmentRequested(
            enrollment_id=enrollment_id,
            student_id=student_id,
            term=self._registrar.term(),
            sections=sections,
            deadline_seconds=self._random.choice((None, None, None, None, 0.1, 1.0)),
        )
        tells = (
            f"{student_id} asks for {', '.join(sections)} of {event.term} (enrollment {number}"
            + (f", within {event.deadline_seconds} s)" if event.deadline_seconds else ")")
        )
        return self._message(at_us, event, tells)

    def _cancel(
        self, at_us: int, number: int, enrollment_id: EnrollmentId, student_id: StudentId
    ) -> Publish:
        event = EnrollmentCancellationRequested(enrollment_id=enrollment_id, student_id=student_id)
        return self._message(at_us, event, f"{student_id} cancels enrollment {number}")

    def _odd(self, at_us: int, number: int, enrollment_id: EnrollmentId) -> Publish:
        """Something under a live id that must change nothing, or cannot be read."""
        at_us = max(0, at_us)
        somebody = self._random.choice(STUDENTS)
        match self._random.randrange(4):
            case 0:
                return self._request(at_us, number, enrollment_id, somebody)
            case 1:
                return self._cancel(at_us, number, enrollment_id, somebody)
            case 2:
                return self._malformed(at_us, number, enrollment_id, somebody)
            case _:
                return self._garbage(at_us)

    def _malformed(
        self, at_us: int, number: int, enrollment_id: EnrollmentId, student_id: StudentId
    ) -> Publish:
        body = {"enrollment_id": str(enrollment_id), "student_id": student_id, "sections": []}
        tells = f"{student_id} asks for nothing at all (enrollment {number})"
        return self._raw(at_us, student_id, json.dumps(body).encode(), tells)

    def _garbage(self, at_us: int) -> Publish:
        return self._raw(at_us, "S1", b"{", "somebody sends what nobody can read")

    def _message(self, at_us: int, event: EnrollmentEvent, tells: str) -> Publish:
        """Careless systems key by whom they like, and give a cancel the id of its request."""
        is_cancel = isinstance(event, EnrollmentCancellationRequested)
        if not (is_cancel and self._random.random() < CARELESS_SHARE):
            self._number += 1
        key = event.student_id
        if self._random.random() < CARELESS_SHARE:
            key = self._random.choice(STUDENTS)
        return message(at_us, REQUESTS, key, event, tells, event_id=self._number)

    def _raw(self, at_us: int, key: str, body: bytes, tells: str) -> Publish:
        self._number += 1
        return raw_message(
            at_us,
            REQUESTS,
            key,
            body,
            tells,
            event_type="EnrollmentRequested",
            event_id=self._number,
        )
