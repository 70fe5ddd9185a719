"""Mistakes about seats: what capacity decides."""

from typing import Final

from services.simulation.bugs.bug import Bug

DECISIONS: Final = "services.capacity.decisions"

SEATS: Final = (
    Bug(
        "release_leaves_no_mark",
        "A release that overtakes its reservation leaves no mark, so seats are taken after it.",
        DECISIONS,
        "        return Decision(mark)\n",
        "        return Decision()\n",
    ),
    Bug(
        "row_forgotten_on_release",
        "A released reservation counts as none, so a late or repeated question takes seats again.",
        DECISIONS,
        "    if reservation is not None and reservation.is_answered:\n        return Decision()\n"
        "    if reservation is not None:\n",
        "    if reservation is not None and reservation.state is not ReservationState.RELEASED:\n"
        "        return Decision()\n    if reservation is not None and not event.sections:\n",
    ),
    Bug(
        "no_answer_under_a_mark",
        "A question that comes after the end of its enrollment gets no answer.",
        DECISIONS,
        "    if reservation is not None and reservation.is_answered:\n",
        "    if reservation is not None:\n",
    ),
    Bug(
        "question_answered_again",
        "A repeated question about seats gets a second answer.",
        DECISIONS,
        "    if reservation is not None and reservation.is_answered:\n",
        "    if reservation is not None and reservation.state is ReservationState.REFUSED:\n",
    ),
    Bug(
        "some_is_enough",
        "Seats are taken as soon as one of the sections has some.",
        DECISIONS,
        "    if reasons:\n",
        "    if len(reasons) == len(event.sections):\n",
    ),
    Bug(
        "one_too_many",
        "The last seat is given away twice.",
        DECISIONS,
        "            if section.free > 0:\n",
        "            if section.reserved <= section.capacity:\n",
    ),
    Bug(
        "capacity_evicts",
        "A lowered capacity forgets seats that are reserved.",
        DECISIONS,
        "    return replace(section, version=event.version, capacity=event.capacity, "
        "state=event.state)\n",
        "    return replace(section, version=event.version, capacity=event.capacity, "
        "state=event.state, reserved=min(section.reserved, event.capacity))\n",
    ),
    Bug(
        "free_as_a_counter",
        "Free seats are counted on, so a seat given back after the capacity fell is sold again.",
        DECISIONS,
        "version=event.version, capacity=event.capacity, ",
        "version=event.version, capacity=max(event.capacity, section.reserved), ",
    ),
    Bug(
        "refusal_is_given_back",
        "The end of an enrollment that was refused gives seats back as well.",
        DECISIONS,
        "        case ReservationState.REFUSED:\n            return Decision(released)\n"
        "        case ReservationState.RESERVED:\n",
        "        case ReservationState.REFUSED | ReservationState.RESERVED:\n",
    ),
    Bug(
        "given_back_twice",
        "A repeated end gives the seats back once more.",
        DECISIONS,
        "        case ReservationState.RELEASED:\n            return Decision()\n"
        "        case ReservationState.REFUSED:\n            return Decision(released)\n"
        "        case ReservationState.RESERVED:\n",
        "        case ReservationState.REFUSED:\n            return Decision(released)\n"
        "        case ReservationState.RELEASED | ReservationState.RESERVED:\n",
    ),
    Bug(
        "release_is_not_counted",
        "A release does not count as a change of the section in the ledger.",
        DECISIONS,
        "seat_sequence=section.seat_sequence + 1",
        "seat_sequence=section.seat_sequence + max(seats, 0)",
    ),
    Bug(
        "older_version_wins",
        "Whatever the catalog said last is taken over, though its version is lower.",
        DECISIONS,
        "    if event.version <= section.version:\n",
        "    if event.version == section.version:\n",
    ),
    Bug(
        "closed_section_sold",
        "A closed section still takes enrollments.",
        DECISIONS,
        "            return reason(ReasonCode.SECTION_CLOSED, section_id)\n",
        "            return None if section.free > 0 else reason("
        "ReasonCode.SECTION_CLOSED, section_id)\n",
    ),
    Bug(
        "tombstone_ignored",
        "A section that was deleted from the catalog still takes enrollments.",
        DECISIONS,
        "    return None if section is None else replace(section, state=SectionState.CANCELLED)\n",
        "    return section\n",
    ),
    Bug(
        "stranger_releases",
        "Whoever names an enrollment gives its seats back, whether it is hers or not.",
        DECISIONS,
        "    if reservation.student_id != event.student_id:\n",
        "    if not event.student_id:\n",
        test="services/capacity/tests/test_decisions.py"
        "::test_the_end_of_another_students_enrollment_changes_nothing",
    ),
)
