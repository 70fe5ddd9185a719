"""Mistakes in how a batch is handled: inbox, rows, locks."""

from typing import Final

from services.simulation.bugs.bug import Bug

REACTION: Final = "shared.reaction"
ROWS: Final = "shared.enrollment_rows"

BATCHES: Final = (
    Bug(
        "duplicates_handled",
        "Events that the inbox knows are handled all the same.",
        REACTION,
        "            if arrival.event_id not in fresh:\n                continue\n"
        "            fresh.remove(arrival.event_id)\n",
        "            fresh.discard(arrival.event_id)\n",
        test="shared/tests/test_reaction.py"
        "::test_an_event_that_comes_twice_in_a_batch_is_decided_once",
    ),
    Bug(
        "said_and_not_kept",
        "A batch says its events and keeps no row.",
        REACTION,
        "    await unit.save(state)\n    await unit.emit(folded.emitted, now)\n",
        "    await unit.emit(folded.emitted, now)\n",
    ),
    Bug(
        "younger_overtakes",
        "What comes behind a dead letter of its enrollment is handled before it.",
        REACTION,
        "        if enrollment_id is not None and (topic, enrollment_id) in held:\n",
        "        if enrollment_id is None and (topic, enrollment_id) in held:\n",
        test="shared/tests/test_reaction.py"
        "::test_a_parked_event_holds_the_later_ones_of_its_enrollment_and_topic",
    ),
    Bug(
        "new_row_taken_for_known",
        "A row that a batch has made and changed again counts as one that was there.",
        REACTION,
        "        return key not in self._loaded\n",
        "        return key not in self._rows\n",
    ),
    Bug(
        "inbox_unsorted",
        "Ids are taken for the inbox in the order of arrival: two batches deadlock.",
        "shared.inbox",
        "        in_lock_order(set(event_ids)),\n",
        "        list(event_ids),\n",
        test="shared/tests/test_inbox.py"
        "::test_batches_that_meet_in_the_middle_of_the_same_ids_do_not_deadlock",
    ),
    Bug(
        "check_then_insert",
        "A row is looked for, then made; that a rival has made it in between goes unnoticed.",
        ROWS,
        " != len(missing):\n        raise RivalRowError(MADE_MEANWHILE)\n",
        " < 0:\n        raise RivalRowError(MADE_MEANWHILE)\n",
        test="services/capacity/tests/test_store.py"
        "::test_what_a_rival_decides_meanwhile_is_not_overwritten",
    ),
    Bug(
        "rows_made_unsorted",
        "Rows are made in the order of their events: two batches deadlock.",
        ROWS,
        '    changed = sorted(rows.changed(), key=attrgetter("enrollment_id.int"))\n',
        "    changed = rows.changed()\n",
        test="services/enrollment/tests/test_store.py"
        "::test_batches_that_meet_in_the_middle_of_the_same_rows_do_not_deadlock",
    ),
    Bug(
        "rows_read_unlocked",
        "The row of an enrollment is read without its lock: the second decision wins.",
        ROWS,
        '        " ORDER BY enrollment_id FOR UPDATE",\n',
        '        " ORDER BY enrollment_id",\n',
        test="services/enrollment/tests/test_store.py"
        "::test_a_second_transaction_waits_for_the_first_and_sees_what_it_decided",
    ),
)
