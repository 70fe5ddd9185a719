"""What operators see of a saga's steps, as of each event of each story."""

from dataclasses import replace

import pytest

from services.enrollment.ingress.tests.view_making import FULL as SECTION_FULL
from services.enrollment.ingress.tests.view_making import (
    HAPPY,
    STORIES,
    at,
    cancelled,
    claim_released,
    confirmed,
    opened,
    rejected,
    requested,
    seat_reserved,
    seen,
)
from services.enrollment.ingress.view.model import Step, StepName, StepStatus
from services.enrollment.ingress.view.steps import steps
from shared.events import EnrollmentEvent, Stage

W, R, C, F, S = (
    StepStatus.WAITING,
    StepStatus.RUNNING,
    StepStatus.COMPLETED,
    StepStatus.FAILED,
    StepStatus.SKIPPED,
)


def statuses(*events: EnrollmentEvent) -> tuple[StepStatus, ...]:
    return tuple(step.status for step in steps(seen(*events)))


@pytest.mark.parametrize(
    ("story", "told", "expected"),
    [
        ("confirmed", 1, (W, W, W, W, W)),
        ("confirmed", 2, (R, W, W, W, W)),
        ("confirmed", 3, (C, R, W, W, W)),
        ("confirmed", 4, (C, C, R, W, W)),
        ("confirmed", 5, (C, C, C, S, S)),
        ("bad", 2, (S, S, S, S, S)),
        ("ineligible", 4, (F, S, S, S, S)),
        ("full", 4, (C, F, W, W, W)),
        ("full", 5, (C, F, S, S, R)),
        ("full", 6, (C, F, S, S, C)),
        ("cancelled before it came", 2, (S, S, S, S, S)),
        ("cancelled while pending", 3, (S, S, S, S, S)),
        ("cancelled while pending", 4, (C, S, S, S, R)),
        ("cancelled while pending", 5, (C, C, S, R, R)),
        ("cancelled while pending", 6, (C, C, S, C, R)),
        ("cancelled while pending", 7, (C, C, S, C, C)),
        ("cancelled while confirmed", 6, (C, C, C, R, R)),
        ("cancelled while confirmed", 8, (C, C, C, C, C)),
        ("nobody answers", 3, (F, S, S, S, S)),
        ("answered late", 4, (C, S, S, S, R)),
        ("answered late", 6, (C, F, S, S, C)),
        ("reserved late", 4, (C, F, S, S, R)),
        ("reserved late", 7, (C, C, S, C, C)),
    ],
)
def test_each_step_is_as_far_as_the_events_say(
    story: str, told: int, expected: tuple[StepStatus, ...]
) -> None:
    assert statuses(*STORIES[story][:told]) == expected


def test_steps_say_when_they_began_and_ended() -> None:
    assert steps(seen(*HAPPY)) == (
        Step(StepName.VALIDATE_STUDENT, C, 1, at(1), at(2)),
        Step(StepName.RESERVE_SECTIONS, C, 1, at(2), at(3)),
        Step(StepName.CONFIRM, C, 1, at(3), at(4)),
        Step(StepName.RELEASE_SECTIONS, S),
        Step(StepName.RELEASE_STUDENT, S),
    )


def test_what_gives_back_says_when_it_began_and_ended() -> None:
    *_, sections, student = steps(seen(*STORIES["cancelled while confirmed"]))

    assert sections == Step(StepName.RELEASE_SECTIONS, C, 1, at(5), at(7))
    assert student == Step(StepName.RELEASE_STUDENT, C, 1, at(5), at(6))


def test_what_is_taken_after_the_end_is_given_back_from_then_on() -> None:
    *_, sections, student = steps(seen(*STORIES["cancelled while pending"]))

    assert sections == Step(StepName.RELEASE_SECTIONS, C, 1, at(4), at(5))
    assert student == Step(StepName.RELEASE_STUDENT, C, 1, at(3), at(6))


@pytest.mark.parametrize(
    ("story", "number", "reason"),
    [
        ("ineligible", 0, "student_hold"),
        ("full", 1, "section_full"),
        ("nobody answers", 0, "deadline"),
        ("answered late", 1, "already_released"),
    ],
)
def test_a_step_that_failed_says_why(story: str, number: int, reason: str) -> None:
    failed = steps(seen(*STORIES[story]))[number]

    assert (failed.status, failed.attempts, failed.reason) == (F, 1, reason)


def test_a_step_that_a_cancellation_cut_short_says_so() -> None:
    step = steps(seen(requested(), opened(), cancelled("pending")))[0]

    assert step == Step(StepName.VALIDATE_STUDENT, S, 1, at(1), at(2), "cancelled")


def test_an_outcome_tells_of_the_steps_before_it_that_are_not_heard_of_yet() -> None:
    assert statuses(opened(), confirmed()) == (C, C, C, S, S)
    assert statuses(opened(), seat_reserved()) == (C, C, R, W, W)
    assert statuses(opened(), rejected(Stage.CAPACITY, SECTION_FULL))[0] is C
    assert statuses(cancelled("confirmed"), claim_released()) == (C, C, C, R, C)


def test_pruned_steps_are_not_made_up() -> None:
    assert steps(replace(seen(*HAPPY), happenings=None)) == ()
