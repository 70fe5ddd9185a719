from pathlib import Path

from loadtests.day.dataset import read_day
from loadtests.day.one_by_one import serve_one_by_one
from loadtests.day.tests.making import request, section, student
from shared.events import Meeting, SectionPublished, StudentPublished

DATA = Path(__file__).parents[2] / "data"


MONDAY = Meeting(days="1000000", weeks="11", start_minute=0, end_minute=60)


def meeting(**changes: str | int) -> Meeting:
    return MONDAY.model_copy(update=changes)


def serve(
    sections: list[SectionPublished], students: list[StudentPublished], *asked: tuple[str, ...]
) -> list[bool]:
    requests = [request(line, *one) for line, one in enumerate(asked, start=1)]
    return list(serve_one_by_one(sections, students, requests))


def test_the_real_day_comes_out_as_its_readme_says() -> None:
    day = read_day(DATA / "pu-cs-fal07")

    served = list(serve_one_by_one(day.sections, day.students, day.requests))

    assert (len(served), sum(served)) == (2002, 1828)


def test_seats_are_given_to_who_comes_first() -> None:
    sections = [section("a", capacity=1), section("b")]

    served = serve(sections, [student("S1"), student("S2")], ("S1", "a"), ("S2", "a", "b"))

    assert served == [True, False]


def test_a_refused_request_takes_nothing() -> None:
    sections = [section("full", capacity=0), section("a", capacity=1)]

    served = serve(sections, [student("S1")], ("S1", "a", "full"), ("S1", "a"))

    assert served == [False, True]


def test_credits_add_up_over_requests() -> None:
    sections = [section("a"), section("b"), section("c", credit_count=0)]

    served = serve(sections, [student("S1", max_credits=5)], ("S1", "a"), ("S1", "b"), ("S1", "c"))

    assert served == [True, False, True]


def test_a_section_held_is_not_given_again() -> None:
    served = serve([section("a")], [student("S1")], ("S1", "a"), ("S1", "a"))

    assert served == [True, False]


def test_times_may_touch_but_not_overlap() -> None:
    afterwards = meeting(start_minute=60, end_minute=90)
    touching = [section("a", MONDAY), section("b", afterwards)]
    overlapping = [section("a", meeting(end_minute=61)), section("b", afterwards)]

    assert serve(touching, [student("S1")], ("S1", "a", "b")) == [True]
    assert serve(overlapping, [student("S1")], ("S1", "a", "b")) == [False]
    assert serve(overlapping, [student("S1")], ("S1", "a"), ("S1", "b")) == [True, False]


def test_other_days_and_other_weeks_do_not_clash() -> None:
    other_day = [section("a", MONDAY), section("b", meeting(days="0100000"))]
    other_week = [section("a", meeting(weeks="10")), section("b", meeting(weeks="01"))]

    assert serve(other_day, [student("S1")], ("S1", "a", "b")) == [True]
    assert serve(other_week, [student("S1")], ("S1", "a", "b")) == [True]


def test_the_unknown_get_nothing() -> None:
    assert serve([section("a")], [student("S1")], ("S2", "a"), ("S1", "z")) == [False, False]
