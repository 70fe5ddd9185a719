"""What a rule tells the student: the names and the numbers that it judged by."""

import pytest

from services.student.tests.making import (
    knowing,
    opened,
    said,
    section,
    student,
    window,
)
from shared.events import Event, SectionPublished, StudentPublished, StudentRejected

CLOSED, TOLD = window(3600, 7200), "2026-01-12 09:00 UTC to 2026-01-12 10:00 UTC"


def details(events: list[Event]) -> list[str]:
    (event,) = events
    assert isinstance(event, StudentRejected)
    return [reason.detail for reason in event.reasons]


@pytest.mark.parametrize(
    ("catalog", "told"),
    [
        ([section("A")], "Student S1 is not in the student catalog."),
        (
            [student(windows=[CLOSED]), section("A")],
            f"You cannot register for term 2026-1 now; your time is {TOLD}.",
        ),
        (
            [student(), section("A", corequisites=["LAB"])],
            "Section A requires that you also take LAB, or have completed it.",
        ),
        (
            [student(max_credits=5), section("A", worth=6)],
            "You have 0 credits this term and ask for 6 more; your limit is 5.",
        ),
    ],
)
def test_a_refusal_names_what_it_judged_by(
    catalog: list[SectionPublished | StudentPublished], told: str
) -> None:
    state = knowing(*catalog)

    events = said(state, opened(1, "A"))

    assert details(events) == [told]


def test_the_credits_that_are_held_are_told() -> None:
    state = knowing(student(max_credits=8), section("A", worth=4), section("B", worth=5))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "B"))

    told = "You have 4 credits this term and ask for 5 more; your limit is 8."
    assert details(events) == [told]


@pytest.mark.parametrize("held", [("A",), ()])
def test_two_sections_of_a_course_part_are_named_with_course_and_part(
    held: tuple[str, ...],
) -> None:
    lectures = [section(name, course_id="C", part="lecture") for name in ("A", "B")]
    state = knowing(student(), *lectures)
    for section_id in held:
        said(state, opened(1, section_id))

    events = said(state, opened(2, "B") if held else opened(2, "A", "B"))

    assert details(events) == ["Section B is the same part of course C (lecture) as section A."]
