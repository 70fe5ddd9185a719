"""Mistakes about what is shown: what the ingress keeps of the topics."""

from typing import Final

from services.simulation.bugs.bug import Bug

DECISIONS: Final = "services.enrollment.ingress.view.decisions"

VIEWS: Final = (
    Bug(
        "shown_seats_are_the_last_heard",
        "Of two counts of a section the one that is heard last is shown, though it is older.",
        DECISIONS,
        "    if seats.seat_sequence <= known.seat_sequence:\n",
        "    if seats.seat_sequence == known.seat_sequence:\n",
    ),
    Bug(
        "shown_version_is_the_last_heard",
        "Whatever the catalog said last is shown, though its version is lower.",
        DECISIONS,
        "    if known.version is not None and event.version <= known.version:\n",
        "    if known.version is not None and event.version == known.version:\n",
    ),
    Bug(
        "foreign_request_is_shown",
        "A late request of somebody else takes over an enrollment that is known.",
        DECISIONS,
        "    if event.student_id != known.student_id or _was_heard(known, REQUESTED):\n"
        "        return None\n"
        "    return replace(\n"
        "        known,\n",
        "    if _was_heard(known, REQUESTED):\n"
        "        return None\n"
        "    return replace(\n"
        "        known,\n"
        "        student_id=event.student_id,\n",
    ),
    Bug(
        "step_shown_twice",
        "An event that repeats is shown as another step.",
        DECISIONS,
        "    if _was_heard(row, name):\n",
        '    if row.happenings is None and name != "":\n',
    ),
    Bug(
        "total_of_what_was_before",
        "An enrollment that goes on counts among those of its old status as well.",
        "services.enrollment.ingress.view.handlers",
        "            state.totals[known.status] -= 1\n",
        "            state.totals[known.status] -= 0\n",
    ),
)
