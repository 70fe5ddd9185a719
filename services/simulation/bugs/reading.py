"""Mistakes in how the topics are read: offsets, pauses, what was read ahead."""

from typing import Final

from services.simulation.bugs.bug import Bug

WORKER: Final = "shared.worker"
CONSUMER: Final = "shared.consumer"

READING: Final = (
    Bug(
        "offset_one_too_far",
        "Each batch moves the offset one too far.",
        CONSUMER,
        "            moves[key] = Move(expected, offset + 1)\n",
        "            moves[key] = Move(expected, offset + 2)\n",
    ),
    Bug(
        "dropped_batch_not_read_again",
        "The consumer reads on after a batch that was dropped.",
        CONSUMER,
        "            self._displace(batch.moves)\n            return False\n",
        "            return True\n",
    ),
    Bug(
        "partition_stays_paused",
        "A partition that comes back is still paused.",
        CONSUMER,
        "        self._consumer.resume(partitions)\n"
        "        self._consumer.incremental_unassign(partitions)\n",
        "        self._consumer.incremental_unassign(partitions)\n",
    ),
    Bug(
        "read_ahead_kept",
        "What was read ahead of a batch is kept as its partition goes, and decided before it.",
        CONSUMER,
        "        self._ahead = [m for m in self._ahead if key_of(m) not in gone]\n",
        "",
        test="shared/tests/test_revoke.py"
        "::test_what_was_read_ahead_of_a_revoked_partition_is_gone_when_it_comes_back",
    ),
    Bug(
        "waiting_moves_kept",
        "Moves of an offset that wait for company are kept though the partition has gone.",
        CONSUMER,
        "        self._forget(gone)\n        self._unassign(gone)\n",
        "        self._unassign(gone)\n",
        test="shared/tests/test_consumer.py"
        "::test_a_revoked_partition_takes_the_moves_that_wait_with_it",
    ),
    Bug(
        "catalogs_not_awaited",
        "Requests are read as soon as one part of the catalogs is, not all.",
        "shared.catalogs",
        "    return all(offsets.get(key, 0) >= end for key, end in ends.items())\n",
        "    return any(offsets.get(key, 0) >= end for key, end in ends.items())\n",
    ),
    Bug(
        "offset_before_commit",
        "Offsets are moved in a transaction of their own, before that of the batch.",
        WORKER,
        "        async with self._open_unit() as unit:\n"
        "            return await react(\n"
        "                unit, batch, self._reactions, self._clock(), "
        "uses_inbox=self._uses_inbox\n",
        "        async with self._open_unit() as unit:\n"
        "            await unit.advance(batch.moves)\n"
        "        rest = Batch(batch.arrivals, batch.unreadable, {})\n"
        "        async with self._open_unit() as unit:\n"
        "            return await react(\n"
        "                unit, rest, self._reactions, self._clock(), "
        "uses_inbox=self._uses_inbox\n",
    ),
    Bug(
        "stale_batch_repeated",
        "A batch whose offsets somebody has moved is tried again without them.",
        WORKER,
        "        try:\n            folded = await self._commit(batch)\n"
        "        except StaleBatchError:\n            raise\n",
        "        try:\n            folded = await self._commit(batch)\n"
        "        except StaleBatchError:\n"
        "            folded = await self._commit(Batch(batch.arrivals, batch.unreadable, {}))\n",
        test="shared/tests/test_worker.py"
        "::test_a_batch_of_a_partition_that_others_read_further_is_stale",
    ),
    Bug(
        "stale_offsets_accepted",
        "The database takes a batch whose offsets another process has moved.",
        "shared.offsets",
        "    if len(rows) != len(keys):\n",
        "    if not rows and keys:\n",
        test="shared/tests/test_offsets.py"
        "::test_a_batch_that_expects_another_offset_is_stale_and_changes_nothing",
    ),
    Bug(
        "unowned_partitions_left",
        "Nobody looks for partitions that a lost half of a rebalance has left without an owner.",
        "shared.process",
        "            is_wanted=lambda: self._relay.holds_lease,\n",
        "            is_wanted=lambda: False,\n",
        test="services/tests/test_owner_watch.py"
        "::test_a_process_that_relays_watches_over_the_partitions_of_its_topics",
    ),
    Bug(
        "half_a_deal_taken_for_all",
        "A partition counts as owned as soon as its group has any member.",
        "shared.unowned",
        "        return frozenset(wanted.difference(*owned))\n",
        "        return frozenset() if any(owned) else frozenset(wanted)\n",
        test="shared/tests/test_unowned.py"
        "::test_what_a_lost_half_of_a_rebalance_leaves_without_an_owner_is_dealt_anew",
    ),
)
