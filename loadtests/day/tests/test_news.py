from datetime import UTC, datetime

import pytest

from loadtests.day.catalogs import CatalogEntry, Known, key_of, learn
from loadtests.day.kafka import DayError
from loadtests.day.news import news
from loadtests.day.tests import making
from shared.events import (
    Event,
    Hold,
    SectionPublished,
    SectionState,
    SectionWithdrawn,
    StudentPublished,
    Window,
)
from shared.identifiers import CourseId, SectionId, SectionKey, StudentId, Term

TERM = Term("fall")
DEBT = Hold(code="debt")
MATH = CourseId("MATH1")


def section(version: int = 0, capacity: int = 5) -> SectionPublished:
    return making.section("1.1", version=version, capacity=capacity)


def demanding(version: int = 0) -> SectionPublished:
    """Give a section of which everything is said."""
    said = {
        "part": "lecture",
        "state": SectionState.CLOSED,
        "prerequisites": ((MATH,),),
        "corequisites": (MATH,),
    }
    return section(version).model_copy(update=said)


def student(version: int = 0, max_credits: int = 18, **said: object) -> StudentPublished:
    plain = StudentPublished(version=version, student_id=StudentId("S1"), max_credits=max_credits)
    return plain.model_copy(update=said)


def window(term: str, day: int = 1) -> Window:
    opens_at = datetime(2031, 1, day, tzinfo=UTC)
    return Window(term=Term(term), opens_at=opens_at, closes_at=opens_at.replace(year=2032))


def learned(*events: Event) -> dict[str, Known]:
    known: dict[str, Known] = {}
    for event in events:
        learn(known, event)
    return known


def test_what_is_new_begins_with_version_1() -> None:
    assert list(news([section(), student()], {}, TERM)) == [section(1), student(1)]


def test_what_is_known_as_it_is_is_no_news() -> None:
    assert list(news([section()], learned(section(7)), TERM)) == []


def test_what_differs_gets_the_next_version() -> None:
    assert list(news([section(capacity=6)], learned(section(7)), TERM)) == [section(8, capacity=6)]


def test_the_highest_version_counts_not_the_last() -> None:
    known = learned(section(7, capacity=6), section(3, capacity=9))

    assert list(news([section(capacity=6)], known, TERM)) == []
    assert list(news([section(capacity=9)], known, TERM)) == [section(8, capacity=9)]


def test_what_was_withdrawn_is_published_again() -> None:
    withdrawn = SectionWithdrawn(key=SectionKey(Term("fall"), SectionId("1.1")))

    assert list(news([section()], learned(section(7), withdrawn), TERM)) == [section(8)]


def test_what_a_set_does_not_say_stays_as_it_is_known() -> None:
    known = learned(
        demanding(7),
        student(2, holds=(DEBT,), completed_courses=(MATH,), windows=(window("fall"),)),
    )

    changed = list(news([section(capacity=6), student(max_credits=9)], known, TERM))

    assert changed == [
        demanding(8).model_copy(update={"capacity": 6}),
        student(3, 9, holds=(DEBT,), completed_courses=(MATH,), windows=(window("fall"),)),
    ]


def test_a_set_that_says_less_is_no_news() -> None:
    known = learned(demanding(7), student(2, holds=(DEBT,)))

    assert list(news([section(), student()], known, TERM)) == []


def test_what_a_set_says_is_the_whole_truth_about_that_field() -> None:
    known = learned(student(2, holds=(DEBT,), completed_courses=(MATH,)))

    assert list(news([student(holds=())], known, TERM)) == [student(3, completed_courses=(MATH,))]


def test_windows_of_other_terms_stay() -> None:
    known = learned(student(2, windows=(window("fall"), window("spring"))))

    moved = list(news([student(windows=(window("fall", 2),))], known, TERM))
    cleared = list(news([student(windows=())], known, TERM))

    assert moved == [student(3, windows=(window("fall", 2), window("spring")))]
    assert cleared == [student(3, windows=(window("spring"),))]


def test_sets_of_two_terms_in_turn_are_news_once_each() -> None:
    fall, spring = student(windows=(window("fall"),)), student(windows=(window("spring"),))
    known: dict[str, Known] = {}
    published = []

    for entry, term in [(spring, "spring"), (fall, "fall")] * 2:
        for new in news([entry], known, Term(term)):
            learn(known, new)
            published.append(new)

    both = (window("fall"), window("spring"))
    assert published == [student(1, windows=both[1:]), student(2, windows=both)]


def test_a_withdrawn_student_begins_anew() -> None:
    known = learned(student(2, holds=(DEBT,)))
    known["S1"] = Known(2, None)

    assert list(news([student()], known, TERM)) == [student(3)]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (student(windows=(window("fall"),)), "windows: Tuple should have at most 50 items"),
        (
            student(completed_courses=tuple(f"{n:064}" for n in range(1000))),
            r"it has \d+ bytes",
        ),
    ],
)
def test_what_no_service_could_read_is_not_published(entry: CatalogEntry, problem: str) -> None:
    known = learned(student(2, windows=tuple(window(f"term-{n}") for n in range(50))))

    with pytest.raises(DayError, match=rf"nothing was imported, for S1 .*{problem}"):
        list(news([entry], known, TERM))


def test_keys_are_known_by_their_topic_key() -> None:
    assert key_of(next(news([section()], {}, TERM))) == "fall/1.1"
