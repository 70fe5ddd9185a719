"""What must hold where only Redis fails: one row for each request, and nobody is sent away."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from loadtests.auditor.tables import EnrollmentRow
from loadtests.chaos.by_http.asks import Act, Ask, Content
from loadtests.chaos.by_http.log import SERVER_ERROR, HttpLog
from loadtests.chaos.workload import TERM
from shared.identifiers import SectionId, StudentId

MACHINE_WAS_BUSY: Final = frozenset({"503 kafka-unavailable", "503 overloaded"})


def judge_table(rows: Iterable[EnrollmentRow], asks: Sequence[Ask], log: HttpLog) -> Iterator[str]:
    """Every request has one enrollment, and that is the one which its clients were told."""
    ids: dict[Content, set[str]] = defaultdict(set)
    for row in rows:
        sections = frozenset(SectionId(one) for one in row.sections)
        ids[StudentId(row.student_id), sections].add(row.enrollment_id)
        if row.term != TERM:
            yield f"enrollment {row.enrollment_id} is of term {row.term}, for which nobody asked"
    told: dict[Content, set[str]] = defaultdict(set)
    for one in log.accepted(Act.ENROLL):
        told[one.ask.content].add(str(one.answer.enrollment_id))
    wanted = {one.content for one in asks}
    for content in sorted(wanted | ids.keys(), key=str):
        if len(ids[content]) != 1 or ids[content] != told[content]:
            yield f"{content}: {ids[content]} in the table, and its clients know {told[content]}"


def refused_without_redis(log: HttpLog) -> Iterator[str]:
    """Without Redis all is served: nothing is answered by a server's error.

    But for what a busy machine may bring about without any fault.
    """
    for one in log.tries:
        status, said = one.answer.status, one.answer.said
        if status is not None and status >= SERVER_ERROR and said not in MACHINE_WAS_BUSY:
            yield f"ask {one.number}: answered {said}, though only Redis was away"
