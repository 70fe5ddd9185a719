from loadtests.auditor.tables import SectionRow
from loadtests.auditor.tests.day import CANCELLED, CONFIRMED, FULL, OTHER, TERM, sound_day


def test_a_section_row_that_counts_one_seat_more_than_its_reservations_is_found() -> None:
    day = sound_day()
    day.seats = {**day.tables().sections, (TERM, "1"): SectionRow(3, 2)}
    assert day.violations() == [
        (
            "invariant 1: section T/1: 3 reserved at seat_sequence 2 in the database, 2 at 2 by "
            "the last event"
        ),
        "invariant 1: section T/1: 3 reserved in the database, 2 by counting reservations",
    ]


def test_a_reservation_in_a_section_without_a_row_is_found() -> None:
    day = sound_day()
    day.seats = {key: row for key, row in day.tables().sections.items() if key != (TERM, "1")}
    assert "invariant 1: section T/1: no row; 2 by counting reservations" in day.violations()


def test_a_seat_sequence_that_jumps_is_found() -> None:
    day = sound_day()
    day.find(OTHER, "SeatReserved").body["seats"][0]["seat_sequence"] = 3
    assert (
        f"invariant 1: section T/1: seat_sequence 3 at its change 2, by SeatReserved of "
        f"enrollment {OTHER}" in day.violations_of_topics()
    )


def test_two_changes_under_one_seat_sequence_are_found() -> None:
    day = sound_day()
    day.find(OTHER, "SeatReserved").body["seats"][0] |= {"seat_sequence": 1, "reserved": 1}
    assert any("seat_sequence 1 at its change 2" in text for text in day.violations_of_topics())


def test_a_count_of_seats_that_does_not_follow_is_found() -> None:
    day = sound_day()
    day.find(OTHER, "SeatReserved").body["seats"][0]["reserved"] = 1
    assert (
        f"invariant 1: section T/1: 1 reserved at seat_sequence 2, 2 by counting, by "
        f"SeatReserved of enrollment {OTHER}" in day.violations_of_topics()
    )


def test_a_seat_sold_beyond_the_capacity_is_found() -> None:
    day = sound_day()
    day.catalog["1"].capacity = 3
    day.enroll(20, "cem", "1")
    day.find("00000000-0000-0000-0000-000000000014", "SeatReserved").body["seats"][0][
        "capacity"
    ] = 2
    assert day.violations() == [
        (
            "invariant 1: section T/1: oversold: 3 reserved of 2, by SeatReserved of enrollment "
            "00000000-0000-0000-0000-000000000014"
        )
    ]


def test_a_refusal_that_counts_seats_otherwise_is_found() -> None:
    day = sound_day()
    day.find(FULL, "SeatUnavailable").body["seats"][0]["reserved"] = 3
    assert (
        f"invariant 1: section T/1: 3 reserved at seat_sequence 2 by SeatUnavailable of "
        f"enrollment {FULL}, 2 by counting" in day.violations_of_topics()
    )


def test_a_refusal_as_full_while_a_seat_was_free_is_found() -> None:
    day = sound_day()
    day.drop(CONFIRMED, "SeatReserved")
    for enrollment_id, event_type in ((OTHER, "SeatReserved"), (FULL, "SeatUnavailable")):
        seat = day.find(enrollment_id, event_type).body["seats"][0]
        seat |= {"seat_sequence": 1, "reserved": 1}
    assert (
        f"invariant 1: section T/1: refused as full with 1 reserved of 2, by SeatUnavailable of "
        f"enrollment {FULL}" in day.violations_of_topics()
    )


def test_a_refusal_without_a_reason_is_found() -> None:
    day = sound_day()
    day.find(FULL, "SeatUnavailable").body["reasons"] = []
    assert (
        f"invariant 1: enrollment {FULL}: seats refused with 0 reasons, 1 is due"
        in day.violations_of_topics()
    )


def test_a_refusal_as_full_without_the_ledger_entry_is_found() -> None:
    day = sound_day()
    del day.find(FULL, "SeatUnavailable").body["seats"][0]
    assert day.violations_of_topics()[:1] == [
        f"invariant 1: enrollment {FULL}: refused since section 1 is full, without its ledger entry"
    ]


def test_a_capacity_that_the_catalog_never_said_is_found() -> None:
    day = sound_day()
    day.find(CONFIRMED, "SeatReserved").body["seats"][0]["capacity"] = 5
    assert (
        f"invariant 1: section T/1: capacity 5 under version 1 by SeatReserved of enrollment "
        f"{CONFIRMED}, 2 as published or said before" in day.violations()
    )


def test_a_version_that_the_catalog_never_had_is_found() -> None:
    day = sound_day()
    day.find(OTHER, "SeatReserved").body["seats"][0]["version"] = 2
    assert (
        f"invariant 1: section T/1: version 2 by SeatReserved of enrollment {OTHER}, 1 is the "
        "newest published" in day.violations()
    )


def test_an_older_version_in_force_again_is_found() -> None:
    day = sound_day()
    day.find(CONFIRMED, "SeatReserved").body["seats"][0]["version"] = 2
    assert (
        f"invariant 1: section T/1: version 1 after version 2, by SeatReserved of enrollment "
        f"{OTHER}" in day.violations()
    )


def test_seats_in_some_of_the_sections_are_found() -> None:
    day = sound_day()
    del day.find(CONFIRMED, "SeatReserved").body["seats"][1]
    assert (
        f"invariant 2: enrollment {CONFIRMED}: SeatReserved moves seats in 1 sections (1), the "
        "enrollment has 2 (1,2)" in day.violations_of_topics()
    )


def test_seats_that_are_not_given_back_are_found() -> None:
    day = sound_day()
    day.drop(CANCELLED, "SeatReleased")
    assert (
        f"invariant 2: enrollment {CANCELLED}: EnrollmentCancelled, but no SeatReleased: its "
        "seats are orphans" in day.violations_of_topics()
    )


def test_seats_given_back_of_an_enrollment_that_goes_on_are_found() -> None:
    day = sound_day()
    day.tell(OTHER, "SeatReleased", seats=day._move(OTHER, -1))
    assert (
        f"invariant 2: enrollment {OTHER}: SeatReleased without EnrollmentRejected or "
        "EnrollmentCancelled" in day.violations_of_topics()
    )
