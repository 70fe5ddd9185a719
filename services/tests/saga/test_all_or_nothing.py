from collections import Counter
from itertools import cycle, pairwise
from uuid import UUID, uuid4

from services.tests.saga.client import Saga, message, request_body

SECTIONS = ("A", "B", "C", "D", "E")
OVERLAPPING = (("A", "B"), ("B", "C"), ("C", "D"), ("D", "E"), ("E", "A"))
SEATS = 10


async def test_one_full_section_leaves_the_others_of_the_request_untouched(saga: Saga) -> None:
    term, (student,) = await saga.set_up({"free": 5, "full": 0, "empty": 5})

    enrollment = saga.request(student, term, "free", "full", "empty")
    outcome = await saga.outcome(enrollment)

    assert (outcome["state"], outcome["stage"]) == ("rejected", "capacity")
    await saga.said_of(enrollment, "EnrollmentRejected")
    reasons = saga.event(enrollment, "EnrollmentRejected")["reasons"]
    assert [(one["code"], one["section_id"]) for one in reasons] == [("section_full", "full")]
    rows = await saga.rows("capacity", "SELECT * FROM section WHERE term = $1", term)
    assert [(row["reserved"], row["seat_sequence"]) for row in rows] == [(0, 0)] * 3


async def test_a_race_for_overlapping_sets_takes_what_the_confirmed_have_and_no_seat_more(
    saga: Saga,
) -> None:
    term, students = await saga.set_up(dict.fromkeys(SECTIONS, SEATS), students=200)
    wanted: dict[UUID, tuple[str, ...]] = {}
    requests = []
    for student, sections in zip(students, cycle(OVERLAPPING), strict=False):
        enrollment = uuid4()
        wanted[enrollment] = sections
        requests.append(message(request_body(enrollment, student, term, sections)))

    saga.send(*requests)
    states = dict(zip(wanted, await saga.states_of(list(wanted)), strict=True))

    taken = Counter(s for one, state in states.items() if state == "confirmed" for s in wanted[one])
    refused = [wanted[one] for one, state in states.items() if state == "rejected"]
    reserved = await saga.reserved(term)
    assert len(refused) == 200 - taken.total() / 2
    assert reserved == {section: taken[section] for section in SECTIONS}
    assert max(reserved.values()) == SEATS
    assert all(SEATS in (reserved[section] for section in sections) for sections in refused)
    await saga.assert_sound()


async def test_nobody_is_refused_as_full_while_a_seat_was_free(saga: Saga) -> None:
    term, students = await saga.set_up({"hot": SEATS}, students=120)
    enrollments = [uuid4() for _ in students]
    asking = [
        message(request_body(one, student, term, ["hot"]))
        for one, student in zip(enrollments, students, strict=True)
    ]

    saga.send(*asking[:60])
    first = dict(zip(enrollments, await saga.states_of(enrollments[:60]), strict=False))
    for one, student in zip(enrollments[:60], students, strict=False):
        if first[one] == "confirmed":
            saga.cancel(one, student)
    saga.send(*asking[60:])
    await saga.states_of(enrollments)
    report = await saga.assert_sound()

    reserved_at = {0: 0}
    for event in saga.all_events():
        if event.type in {"SeatReserved", "SeatReleased"} and event.body["term"] == term:
            (seat,) = event.body["seats"]
            reserved_at[seat["seat_sequence"]] = seat["reserved"]
    counts = [reserved_at[number] for number in range(len(reserved_at))]
    steps = {after - before for before, after in pairwise(counts)}
    refusals = [
        event.body["seats"][0]
        for event in saga.all_events()
        if event.type == "SeatUnavailable" and event.body["term"] == term
    ]
    assert steps == {1, -1}
    assert len(refusals) >= 50
    assert {reserved_at[seat["seat_sequence"]] for seat in refusals} == {SEATS}
    assert report.exit_code == 0
