"""Whatever the order between topics, and whatever repeats: the view says the same in the end."""

from collections import Counter
from dataclasses import replace
from itertools import permutations
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.enrollment.ingress.tests.view_making import (
    ID,
    S2,
    STORIES,
    TERM,
    arrival_of,
    at,
    fresh,
    hear,
    malformed,
    requested,
    seat_reserved,
    seen,
    timed,
)
from services.enrollment.ingress.view.model import Status, ViewedEnrollment
from services.enrollment.ingress.view.steps import steps
from shared.events import EnrollmentEvent
from shared.identifiers import EnrollmentId, SectionKey
from shared.message import Arrival

SETTINGS = settings(max_examples=300, derandomize=True, deadline=None)
stories = st.sampled_from(sorted(STORIES))
EXHAUSTIVE = sorted(name for name, story in STORIES.items() if len(story) <= 6)


def without_order(enrollment: ViewedEnrollment | None) -> ViewedEnrollment:
    """The row with its happenings by name: they are kept in the order of hearing."""
    assert enrollment is not None
    assert enrollment.happenings is not None
    in_order = tuple(sorted(enrollment.happenings, key=lambda one: one.event))
    assert len({one.event for one in in_order}) == len(in_order)
    return replace(enrollment, happenings=in_order)


def by_topic(arrivals: list[Arrival]) -> list[list[Arrival]]:
    topics: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        topics.setdefault(arrival.message.topic, []).append(arrival)
    return list(topics.values())


def interleaved(topics: list[list[Arrival]], chance: Random) -> list[Arrival]:
    """Merge topics, each in its order; now and then one repeats what it has said before."""
    positions, merged = [0] * len(topics), []
    while any(place < len(topic) for place, topic in zip(positions, topics, strict=True)):
        number = chance.randrange(len(topics))
        topic, place = topics[number], positions[number]
        if place and chance.random() < 0.3:
            merged.extend(topic[chance.randrange(place) : place])
        if place < len(topic):
            merged.append(topic[place])
            positions[number] += 1
    return merged


@pytest.mark.parametrize("story", EXHAUSTIVE)
def test_every_order_of_a_short_story_gives_the_same_row(story: str) -> None:
    expected = without_order(seen(*STORIES[story]))

    for order in permutations(timed(STORIES[story])):
        state = fresh()
        hear(state, order)
        assert without_order(state.enrollments.get(ID)) == expected


@SETTINGS
@given(stories, st.integers(0, 2**32))
def test_every_order_between_topics_and_any_repeats_give_the_same_row(
    story: str, seed: int
) -> None:
    arrivals = interleaved(by_topic(timed(STORIES[story])), Random(seed))
    state = fresh()

    hear(state, arrivals)

    found = state.enrollments.get(ID)
    expected = seen(*STORIES[story])
    assert without_order(found) == without_order(expected)
    assert found is not None
    assert steps(found) == steps(expected)


@SETTINGS
@given(stories, st.integers(0, 2**32), st.sampled_from([malformed(S2), requested(S2)]))
def test_a_foreign_request_counts_for_nothing_once_the_saga_has_spoken(
    story: str, seed: int, foreign: EnrollmentEvent
) -> None:
    own = timed(STORIES[story])
    arrivals = interleaved([[arrival_of(foreign, at(-3))], *by_topic(own)], Random(seed))
    state = fresh()

    hear(state, arrivals)

    found = without_order(state.enrollments.get(ID))
    expected = without_order(seen(*STORIES[story]))
    if len(own) == 1:  # the saga has not spoken
        assert found.student_id in {S2, expected.student_id}
        return
    provisional = replace(found, requested_at=expected.requested_at, happenings=expected.happenings)
    assert provisional == expected
    assert found.happenings is not None
    assert expected.happenings is not None
    assert {one.event for one in found.happenings} == {one.event for one in expected.happenings}


@SETTINGS
@given(st.lists(stories, min_size=1, max_size=6), st.integers(0, 2**32))
def test_the_totals_equal_a_recount(names: list[str], seed: int) -> None:
    topics = []
    for number, name in enumerate(names):
        ids = {"enrollment_id": EnrollmentId(UUID(int=number))}
        story = [event.model_copy(update=ids) for event in STORIES[name]]
        topics.extend(by_topic(timed(story)))
    state = fresh()

    hear(state, interleaved(topics, Random(seed)))

    recount = Counter(one.status for one in state.enrollments.all())
    assert {status: state.totals[status] for status in Status} == {
        status: recount[status] for status in Status
    }


@SETTINGS
@given(st.permutations(range(1, 9)), st.data())
def test_seats_are_those_of_the_highest_sequence_in_any_order(
    order: list[int], data: st.DataObject
) -> None:
    reserved = {number: data.draw(st.integers(0, 9)) for number in order}
    state = fresh()

    hear(
        state,
        [arrival_of(seat_reserved(sequence=n, reserved=reserved[n]), at(n)) for n in order],
    )

    section = state.sections.get(SectionKey(TERM, requested().sections[0]))
    assert section is not None
    assert (section.seat_sequence, section.reserved) == (8, reserved[8])
