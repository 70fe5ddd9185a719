"""Mistakes in how events are published: outbox, relay, producer."""

from typing import Final

from services.simulation.bugs.bug import Bug

RELAY: Final = "shared.relay"

DELIVERY: Final = (
    Bug(
        "deleted_before_published",
        "The relay deletes events before it publishes them.",
        RELAY,
        "        await publish(rows)\n        await waiting.delete([row.id for row in rows])\n",
        "        await waiting.delete([row.id for row in rows])\n        await publish(rows)\n",
    ),
    Bug(
        "deleted_up_to_the_last",
        "The relay deletes everything up to the last event it published: late commits are lost.",
        RELAY,
        "        await waiting.delete([row.id for row in rows])\n",
        "        await waiting.delete(range(rows[-1].id + 1))\n",
    ),
    Bug(
        "failed_delivery_deleted",
        "Events whose delivery has failed for good are deleted like the others.",
        RELAY,
        "            except NotDeliveredError as error:\n",
        "            except DeliveryFailedError as error:\n"
        '                return LOGGER.warning("given up: %s", error)\n'
        "            except NotDeliveredError as error:\n",
    ),
    Bug(
        "keyed_by_enrollment",
        "Events are keyed by their enrollment, so those of a student are spread over partitions.",
        "shared.outbox",
        "        event.student_id,\n        subject,\n",
        "        subject,\n        subject,\n",
    ),
    Bug(
        "outbox_by_cursor",
        "The relay reads on from the last id it saw, and passes over late commits.",
        RELAY,
        "    rows = await waiting.oldest(limit)\n",
        "    last = getattr(waiting, 'last', 0)\n"
        "    rows = [row for row in await waiting.oldest(limit) if row.id > last]\n"
        "    waiting.last = max([row.id for row in rows], default=last)\n",
    ),
    Bug(
        "lease_not_asked_for",
        "Two relays publish one outbox, and reorder it.",
        RELAY,
        '        if not await driver.fetchval("SELECT pg_try_advisory_lock($1)", LEASE_LOCK):\n',
        '        if not await driver.fetchval("SELECT $1 > 0", LEASE_LOCK):\n',
        test="shared/tests/test_relay.py"
        "::test_the_lease_is_one_processes_alone_and_comes_back_at_its_end",
    ),
    Bug(
        "delivery_given_up",
        "The client gives an event up after a while, and younger ones pass it.",
        "shared.producer",
        '        "message.timeout.ms": 0,\n',
        '        "message.timeout.ms": 1000,\n',
        test="shared/tests/test_producer.py"
        "::test_the_client_library_never_gives_an_event_up_by_itself_and_lets_younger_ones_pass",
    ),
)
