"""The load that is made up for the ingress."""

from collections import defaultdict
from random import Random

from loadtests.chaos.by_http.asks import TOGETHER_MAX, Act, Ask, Habits, plan_asks
from shared.identifiers import SectionId, StudentId

REQUESTS = 2000
STUDENTS = [StudentId(f"H{number}") for number in range(500)]
SECTIONS = [SectionId(f"S{number}") for number in range(40)]


def planned(seed: int) -> list[Ask]:
    return plan_asks(Random(seed), STUDENTS, SECTIONS, Habits(REQUESTS, 20.0))


def by_request(asks: list[Ask], act: Act) -> dict[int, list[Ask]]:
    found: dict[int, list[Ask]] = defaultdict(list)
    for one in asks:
        if one.act is act:
            found[one.request].append(one)
    return found


def test_the_same_seed_gives_the_same_load_and_another_seed_another() -> None:
    assert planned(7) == planned(7)
    assert planned(7) != planned(8)


def test_a_load_is_spread_over_its_time_with_repeats_cancels_and_looks() -> None:
    asks = planned(7)
    enrolls = by_request(asks, Act.ENROLL)
    firsts = [one[0] for one in enrolls.values()]

    assert len(enrolls) == REQUESTS
    assert asks == sorted(asks, key=lambda one: one.at_seconds)
    assert 0 <= asks[0].at_seconds < asks[-1].at_seconds <= REQUESTS / 20.0
    assert sum(len(one) > 1 for one in enrolls.values()) > REQUESTS / 5
    assert sum(one.key is None for one in firsts) > REQUESTS / 10
    assert sum(one.hangs_up_after is not None for one in firsts) > REQUESTS / 20
    assert len(by_request(asks, Act.CANCEL)) > REQUESTS / 20
    assert len(by_request(asks, Act.LOOK)) > REQUESTS / 5


def test_some_ask_for_the_same_at_the_same_moment() -> None:
    enrolls = by_request(planned(7), Act.ENROLL)
    at_once = [sum(a.at_seconds == one[0].at_seconds for a in one) for one in enrolls.values()]

    assert max(at_once) == TOGETHER_MAX
    assert sum(count > 1 for count in at_once) > REQUESTS / 20


def test_no_two_requests_ask_for_the_same_though_students_are_few() -> None:
    asks = plan_asks(Random(7), STUDENTS[:5], SECTIONS[:20], Habits(REQUESTS, 20.0))
    enrolls = by_request(asks, Act.ENROLL)
    contents = [{one.content for one in asks} for asks in enrolls.values()]

    assert sum(map(len, contents)) == len(set().union(*contents))
    assert sum(len(one) > 1 for one in contents) > REQUESTS / 100


def test_a_key_belongs_to_one_request_and_one_student() -> None:
    keyed = [one for one in planned(7) if one.key is not None]
    owners: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for one in keyed:
        owners[str(one.key)].add((one.request, one.student_id))

    assert {len(one) for one in owners.values()} == {1}
