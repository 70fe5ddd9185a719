"""The registration rules, one by one and together."""

import pytest

from services.student.model import ClaimState
from services.student.tests.making import (
    NEXT_TERM,
    TERM,
    TUESDAY,
    cancelled,
    claim_of,
    codes,
    is_validated,
    knowing,
    meeting,
    opened,
    said,
    section,
    student,
    window,
    withdrawn,
)
from shared.events import (
    Meeting,
    ReasonCode,
    SectionPublished,
    StudentRejected,
    StudentWithdrawn,
)
from shared.identifiers import StudentId

# Who may ask, and for what.


def test_an_unknown_student_is_refused() -> None:
    state = knowing(section("A"))

    events = said(state, opened(1, "A"))

    assert codes(events) == [(ReasonCode.UNKNOWN_STUDENT, None)]


def test_a_student_deleted_from_the_catalog_is_unknown() -> None:
    state = knowing(student(), section("A"))

    events = said(state, StudentWithdrawn(student_id=StudentId("S1")), opened(1, "A"))

    assert codes(events) == [(ReasonCode.UNKNOWN_STUDENT, None)]


def test_only_a_newer_version_brings_a_deleted_student_back() -> None:
    state = knowing(student(), section("A"))
    said(state, StudentWithdrawn(student_id=StudentId("S1")), student(version=1))

    still_unknown = said(state, opened(1, "A"))
    known_again = said(state, student(version=2), opened(2, "A"))

    assert codes(still_unknown) == [(ReasonCode.UNKNOWN_STUDENT, None)]
    assert is_validated(known_again)


def test_unknown_sections_are_named_in_the_order_of_the_request() -> None:
    state = knowing(student(), section("A"))

    events = said(state, opened(1, "Z", "A", "Y"))

    assert codes(events) == [
        (ReasonCode.UNKNOWN_SECTION, "Z"),
        (ReasonCode.UNKNOWN_SECTION, "Y"),
    ]


def test_a_section_of_another_term_is_unknown() -> None:
    state = knowing(student(), section("A", term=NEXT_TERM))

    events = said(state, opened(1, "A"))

    assert codes(events) == [(ReasonCode.UNKNOWN_SECTION, "A")]


def test_a_cancelled_section_is_left_to_capacity_to_refuse() -> None:
    state = knowing(student(), section("A"))

    events = said(state, withdrawn("A"), opened(1, "A"))

    assert is_validated(events)


def test_a_section_is_held_once_whatever_its_times() -> None:
    state = knowing(student(), section("A"))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "A"))

    assert codes(events) == [(ReasonCode.ALREADY_ENROLLED, "A")]


def test_a_section_that_is_held_is_not_called_a_clash_with_itself() -> None:
    state = knowing(student(), section("A", meeting(480, 540)))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "A"))

    assert codes(events) == [(ReasonCode.ALREADY_ENROLLED, "A")]


def test_a_section_that_is_held_is_not_counted_twice_against_the_limit() -> None:
    state = knowing(student(max_credits=3), section("A", worth=3))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "A"))

    assert codes(events) == [(ReasonCode.ALREADY_ENROLLED, "A")]


def test_another_student_may_hold_the_same_section() -> None:
    state = knowing(student("S1"), student("S2"), section("A", meeting(480, 540)))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "A", student_id="S2"))

    assert is_validated(events)


def test_every_reason_is_given_at_once() -> None:
    state = knowing(
        student(max_credits=5),
        section("held", meeting(480, 540), worth=3),
        section("clash", meeting(480, 540), worth=3),
    )
    said(state, opened(1, "held"))

    events = said(state, opened(2, "clash", "unknown", "held"))

    assert codes(events) == [
        (ReasonCode.UNKNOWN_SECTION, "unknown"),
        (ReasonCode.ALREADY_ENROLLED, "held"),
        (ReasonCode.TIME_CONFLICT, "clash"),
        (ReasonCode.CREDIT_LIMIT, None),
    ]


# Credits.


@pytest.mark.parametrize(("limit", "is_enough"), [(9, False), (10, True)])
def test_credits_up_to_the_limit_are_fine(limit: int, is_enough: bool) -> None:
    state = knowing(student(max_credits=limit), section("A", worth=4), section("B", worth=6))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "B"))

    assert is_validated(events) is is_enough
    if not is_enough:
        assert codes(events) == [(ReasonCode.CREDIT_LIMIT, None)]


def test_the_limit_counts_the_sections_of_one_request_together() -> None:
    state = knowing(student(max_credits=9), section("A", worth=4), section("B", worth=6))

    events = said(state, opened(1, "A", "B"))

    assert codes(events) == [(ReasonCode.CREDIT_LIMIT, None)]


def test_credits_and_times_count_for_each_term_alone() -> None:
    state = knowing(
        student(max_credits=3),
        section("A", meeting(480, 540)),
        section("A", meeting(480, 540), term=NEXT_TERM),
    )
    said(state, opened(1, "A"))

    events = said(state, opened(2, "A", term=NEXT_TERM))

    assert is_validated(events)


def test_a_section_without_credits_fits_a_full_term() -> None:
    state = knowing(student(max_credits=3), section("A"), section("B", worth=0))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "B"))

    assert is_validated(events)


# Times.

CLASHES = [
    pytest.param(meeting(480, 540), meeting(480, 540), id="the same time"),
    pytest.param(meeting(480, 540), meeting(539, 600), id="one minute in common"),
    pytest.param(meeting(480, 600), meeting(500, 520), id="one inside the other"),
    pytest.param(meeting(480, 540), meeting(480, 540, days="1100000"), id="one day in common"),
    pytest.param(
        meeting(480, 540, weeks="0110"), meeting(480, 540, weeks="0011"), id="one week in common"
    ),
    pytest.param(
        meeting(480, 540, weeks="01"),
        meeting(480, 540, weeks="0111"),
        id="weeks of unequal length line up at their beginning",
    ),
]
NO_CLASHES = [
    pytest.param(meeting(480, 540), meeting(540, 600), id="back to back"),
    pytest.param(meeting(480, 540), meeting(480, 540, days=TUESDAY), id="another day"),
    pytest.param(
        meeting(480, 540, weeks="1010"), meeting(480, 540, weeks="0101"), id="other weeks"
    ),
    pytest.param(
        meeting(480, 540, weeks="01"),
        meeting(480, 540, weeks="1011"),
        id="weeks of unequal length that share none",
    ),
    pytest.param(
        meeting(480, 540, weeks="0000"), meeting(480, 540, weeks="1111"), id="no week at all"
    ),
]


@pytest.mark.parametrize(("one", "other"), CLASHES)
def test_two_sections_of_a_request_may_not_share_a_minute(one: Meeting, other: Meeting) -> None:
    state = knowing(student(), section("A", one), section("B", other))

    forwards = said(state, opened(1, "A", "B"))
    backwards = said(state, opened(2, "B", "A"))

    assert codes(forwards) == [(ReasonCode.TIME_CONFLICT, "B")]
    assert codes(backwards) == [(ReasonCode.TIME_CONFLICT, "A")]


@pytest.mark.parametrize(("one", "other"), CLASHES)
def test_a_section_may_not_share_a_minute_with_a_claim(one: Meeting, other: Meeting) -> None:
    state = knowing(student(), section("A", one), section("B", other))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "B"))

    assert codes(events) == [(ReasonCode.TIME_CONFLICT, "B")]


@pytest.mark.parametrize(("one", "other"), NO_CLASHES)
def test_sections_that_share_no_minute_go_together(one: Meeting, other: Meeting) -> None:
    state = knowing(student("S1"), student("S2"), section("A", one), section("B", other))

    together = said(state, opened(1, "B", "A"))
    first = said(state, opened(2, "A", student_id="S2"))
    second = said(state, opened(3, "B", student_id="S2"))

    assert is_validated(together)
    assert is_validated(first)
    assert is_validated(second)


def test_a_clash_of_any_of_the_meetings_counts_once() -> None:
    state = knowing(
        student(),
        section("A", meeting(480, 540), meeting(600, 660)),
        section("B", meeting(300, 360), meeting(500, 520), meeting(610, 620)),
    )
    said(state, opened(1, "A"))

    events = said(state, opened(2, "B"))

    assert codes(events) == [(ReasonCode.TIME_CONFLICT, "B")]


def test_a_section_may_meet_twice_at_the_same_time() -> None:
    state = knowing(student(), section("A", meeting(480, 540), meeting(480, 540)))

    events = said(state, opened(1, "A"))

    assert is_validated(events)


def test_the_reason_names_the_other_section() -> None:
    state = knowing(student(), section("A", meeting(480, 540)), section("B", meeting(480, 540)))

    (event,) = said(state, opened(1, "A", "B"))

    assert isinstance(event, StudentRejected)
    assert event.reasons[0].detail == "Section B meets at the same time as section A."


# Holds and windows.


def test_every_hold_blocks_and_is_named() -> None:
    state = knowing(student(holds=[{"code": "fees"}, {"code": "advising"}]), section("A"))

    (event,) = said(state, opened(1, "A"))

    assert codes([event]) == [(ReasonCode.STUDENT_HOLD, None)] * 2
    assert isinstance(event, StudentRejected)
    assert ["fees" in event.reasons[0].detail, "advising" in event.reasons[1].detail] == [True] * 2


def test_a_hold_that_was_lifted_blocks_no_more() -> None:
    state = knowing(student(holds=[{"code": "fees"}]), section("A"))

    events = said(state, student(version=2), opened(1, "A"))

    assert is_validated(events)


@pytest.mark.parametrize(
    ("windows", "is_open"),
    [
        pytest.param([], True, id="without any, always"),
        pytest.param([window(-1, 1)], True, id="between"),
        pytest.param([window(0, 1)], True, id="from the moment it opens"),
        pytest.param([window(-1, 0)], False, id="not at the moment it closes"),
        pytest.param([window(1, 2)], False, id="not before"),
        pytest.param([window(-2, -1)], False, id="not after"),
        pytest.param([window(-2, -1), window(-1, 1)], True, id="one of several"),
        pytest.param([window(-2, -1), window(1, 2)], False, id="none of several"),
        pytest.param([window(1, 2, NEXT_TERM)], True, id="those of other terms do not count"),
    ],
)
def test_a_window_of_the_term_must_be_open(windows: list[dict[str, object]], is_open: bool) -> None:
    state = knowing(student(windows=windows), section("A"))

    events = said(state, opened(1, "A"))

    assert is_validated(events) is is_open
    if not is_open:
        assert codes(events) == [(ReasonCode.OUTSIDE_WINDOW, None)]


def test_the_reason_says_when_the_window_is_open() -> None:
    state = knowing(student(windows=[window(3600, 7200)]), section("A"))

    (event,) = said(state, opened(1, "A"))

    assert isinstance(event, StudentRejected)
    assert "2026-01-12 09:00 UTC to 2026-01-12 10:00 UTC" in event.reasons[0].detail
    assert "de 2026-01-12 09:00 UTC a 2026-01-12 10:00 UTC" in (event.reasons[0].detail_es or "")


@pytest.mark.parametrize("year", ["0001", "9999"])
@pytest.mark.parametrize("zone", ["+14:00", "-12:00", "Z"])
def test_the_first_and_the_last_window_of_all_time_can_be_judged_and_shown(
    year: str, zone: str
) -> None:
    moment = f"{year}-12-31T23:59:59{zone}" if year == "9999" else f"{year}-01-01T00:00:00{zone}"
    bounds = {"term": TERM, "opens_at": moment, "closes_at": moment}
    state = knowing(student(windows=[bounds]), section("A"))

    events = said(state, opened(1, "A"))

    assert codes(events) == [(ReasonCode.OUTSIDE_WINDOW, None)]


# Prerequisites and corequisites.


@pytest.mark.parametrize(
    ("completed", "missing"),
    [
        pytest.param(["M1", "P1"], 0, id="one of each list"),
        pytest.param(["M2", "P1", "X"], 0, id="another of a list"),
        pytest.param(["M1", "M2"], 1, id="two of one list and none of the other"),
        pytest.param([], 2, id="nothing"),
    ],
)
def test_of_each_list_of_prerequisites_one_must_be_completed(
    completed: list[str], missing: int
) -> None:
    advanced = section("A", prerequisites=[["M1", "M2"], ["P1"]])
    state = knowing(student(completed_courses=completed), advanced)

    events = said(state, opened(1, "A"))

    assert is_validated(events) is (missing == 0)
    if missing:
        assert codes(events) == [(ReasonCode.PREREQUISITE, "A")] * missing


def test_a_prerequisite_that_is_only_taken_now_does_not_count() -> None:
    state = knowing(student(), section("basics"), section("A", prerequisites=[["course-basics"]]))
    said(state, opened(1, "basics"))

    events = said(state, opened(2, "A"))

    assert codes(events) == [(ReasonCode.PREREQUISITE, "A")]


def test_a_prerequisite_added_later_takes_nothing_away() -> None:
    state = knowing(student(), section("A"))
    said(state, opened(1, "A"))

    events = said(state, section("A", version=2, prerequisites=[["M1"]]))

    assert events == []
    assert claim_of(state, 1).state is ClaimState.CLAIMED


@pytest.mark.parametrize("asked", [("lab", "theory"), ("theory", "lab")])
def test_a_corequisite_may_be_in_the_same_request(asked: tuple[str, ...]) -> None:
    lab = section("lab", corequisites=["course-theory"])
    state = knowing(student(), lab, section("theory"))

    events = said(state, opened(1, *asked))

    assert is_validated(events)


def test_a_corequisite_may_be_claimed_before() -> None:
    lab = section("lab", corequisites=["course-theory"])
    state = knowing(student(), lab, section("theory"))
    said(state, opened(1, "theory"))

    events = said(state, opened(2, "lab"))

    assert is_validated(events)


def test_a_corequisite_may_be_completed() -> None:
    lab = section("lab", corequisites=["course-theory"])
    state = knowing(student(completed_courses=["course-theory"]), lab)

    events = said(state, opened(1, "lab"))

    assert is_validated(events)


def test_a_corequisite_that_was_given_back_counts_no_more() -> None:
    lab = section("lab", corequisites=["course-theory"])
    state = knowing(student(), lab, section("theory"))
    said(state, opened(1, "theory"), cancelled(1, "theory"))

    events = said(state, opened(2, "lab"))

    assert codes(events) == [(ReasonCode.COREQUISITE, "lab")]


def test_two_sections_that_require_each_other_are_taken_together_or_not_at_all() -> None:
    one = section("A", corequisites=["course-B"])
    other = section("B", corequisites=["course-A"])
    state = knowing(student("S1"), student("S2"), one, other)

    alone = said(state, opened(1, "A"))
    together = said(state, opened(2, "A", "B", student_id="S2"))

    assert codes(alone) == [(ReasonCode.COREQUISITE, "A")]
    assert is_validated(together)


def test_a_section_is_not_its_own_corequisite_but_another_of_its_course_is() -> None:
    lab = section("lab", course_id="P", corequisites=["P"])
    state = knowing(student("S1"), student("S2"), lab, section("lecture", course_id="P"))

    alone = said(state, opened(1, "lab"))
    together = said(state, opened(2, "lab", "lecture", student_id="S2"))

    assert codes(alone) == [(ReasonCode.COREQUISITE, "lab")]
    assert is_validated(together)


# Parts of a course.


def lecture(
    section_id: str, part: str | None = "lecture", course_id: str = "C"
) -> SectionPublished:
    return section(section_id, course_id=course_id, part=part)


def test_a_second_section_of_a_course_part_is_refused_within_a_request() -> None:
    state = knowing(student(), lecture("A"), lecture("B"))

    events = said(state, opened(1, "A", "B"))

    assert codes(events) == [(ReasonCode.SAME_COURSE_PART, "B")]


def test_a_second_section_of_a_course_part_is_refused_beside_a_claim() -> None:
    state = knowing(student(), lecture("A"), lecture("B"))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "B"))

    assert codes(events) == [(ReasonCode.SAME_COURSE_PART, "B")]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lecture("B", "lab"), id="another part"),
        pytest.param(lecture("B", course_id="D"), id="another course"),
        pytest.param(lecture("B", None), id="no part"),
    ],
)
def test_other_parts_and_other_courses_go_together(other: SectionPublished) -> None:
    state = knowing(student(), lecture("A"), other)

    events = said(state, opened(1, "A", "B"))

    assert is_validated(events)


def test_sections_without_a_part_are_outside_the_rule_of_parts() -> None:
    state = knowing(student(), lecture("A", None), lecture("B", None))

    events = said(state, opened(1, "A", "B"))

    assert is_validated(events)


def test_a_section_that_is_held_is_not_called_a_second_of_its_part() -> None:
    state = knowing(student(), lecture("A"))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "A"))

    assert codes(events) == [(ReasonCode.ALREADY_ENROLLED, "A")]
