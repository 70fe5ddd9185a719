"""Mistakes about what cannot be handled: dead letters, and batches one by one."""

from typing import Final

from services.simulation.bugs.bug import Bug

WORKER: Final = "shared.worker"
DEAD_LETTER: Final = "shared.dead_letter"

LETTERS: Final = (
    Bug(
        "unreadable_lost_one_by_one",
        "Where a batch is handled one by one, what cannot be read is dropped.",
        WORKER,
        "        _add(total, await self._commit(Batch([], batch.unreadable, batch.moves)))\n",
        "        _add(total, await self._commit(Batch([], [], batch.moves)))\n",
    ),
    Bug(
        "refused_one_dropped",
        "A message that the database refuses is dropped instead of parked.",
        WORKER,
        "            await unit.park([parked], self._clock())\n",
        "",
    ),
    Bug(
        "one_by_one_moves_early",
        "Where a batch is handled one by one, the first moves the offsets of all.",
        WORKER,
        "            still = {key: Move(batch.moves[key].expected, batch.moves[key].expected)}\n",
        "            still = batch.moves\n",
    ),
    Bug(
        "replay_through_the_inbox",
        "A replay asks the inbox, which knows the id, and drops the dead letter as a repeat.",
        DEAD_LETTER,
        "    folded = await _decide(unit, list(zip(queue, arrivals, strict=True)), "
        "reactions, now)\n",
        "    fresh = await unit.claim([arrival.event_id for arrival in arrivals])\n"
        "    wanted = [pair for pair in zip(queue, arrivals, strict=True) "
        "if pair[1].event_id in fresh]\n"
        "    folded = await _decide(unit, wanted, reactions, now)\n",
    ),
    Bug(
        "replayed_and_kept",
        "A dead letter that was replayed stays, and holds those behind it.",
        DEAD_LETTER,
        "    await letters.delete(letter.id)\n",
        "    if letter.event_type is None:\n        await letters.delete(letter.id)\n",
    ),
    Bug(
        "replay_without_saving",
        "A replay says its events and keeps nothing.",
        DEAD_LETTER,
        "    await unit.save(state)\n    await unit.emit(folded.emitted, now)\n",
        "    await unit.emit(folded.emitted, now)\n",
    ),
    Bug(
        "end_may_be_discarded",
        "The end of an enrollment may be discarded, and what it holds stays taken for ever.",
        DEAD_LETTER,
        '        "SeatUnavailable",\n        "SectionPublished",\n',
        '        "SeatUnavailable",\n        "EnrollmentRejected",\n'
        '        "EnrollmentCancelled",\n        "SectionPublished",\n',
    ),
    Bug(
        "request_discarded_silently",
        "A request may be discarded without an outcome.",
        DEAD_LETTER,
        "    if outcome is Outcome.REJECTED:\n",
        "    if outcome is None:\n",
    ),
)
