"""Prints outcomes: read_outcomes.py SERVERS GROUP [SECONDS_OF_SILENCE_TO_END_AFTER]."""

import json
import sys
import time

from confluent_kafka import Consumer

OUTCOMES = {b"EnrollmentConfirmed", b"EnrollmentRejected", b"EnrollmentCancelled"}
SETTINGS = {
    "auto.offset.reset": "earliest",
    "enable.auto.offset.store": False,  # or what is read counts as done before it is handled
}


def main(servers, group, silence_seconds="inf"):
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group, **SETTINGS})
    consumer.subscribe(["enrollment.events"])
    handled = set()  # in your system a table, written in the transaction that handles the event
    heard_at = time.monotonic()
    while time.monotonic() < heard_at + float(silence_seconds):
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error() is not None:
            sys.exit(f"Kafka cannot be read: {message.error()}")
        headers, heard_at = dict(message.headers()), time.monotonic()
        if headers["ce_type"] in OUTCOMES and headers["ce_id"] not in handled:
            event = json.loads(message.value())
            reasons = [f"{one['code']} ({one['detail']})" for one in event.get("reasons", [])]
            print(event["enrollment_id"], headers["ce_type"].decode(), *reasons, flush=True)
            handled.add(headers["ce_id"])
        consumer.store_offsets(message)  # Kafka learns of it within seconds, and on close
    consumer.close()


main(*sys.argv[1:])
