"""Publishes a request: publish_request.py SERVERS ENROLLMENT_ID STUDENT_ID TERM SECTION_ID..."""

import json
import os
import sys
from datetime import UTC, datetime
from uuid import uuid4

from confluent_kafka import Producer

TIMEOUT_MS = int(os.environ.get("TIMEOUT_MS", "30000"))
# With this partitioner a student has the same partition as with Java's client.
SETTINGS = {"enable.idempotence": True, "acks": "all", "partitioner": "murmur2_random"}


def main(servers, enrollment, student, term, *sections):
    body = {"enrollment_id": enrollment, "student_id": student, "term": term, "sections": sections}
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_type": "EnrollmentRequested",
        "ce_source": "/your-system",
        "ce_subject": enrollment,
        "ce_time": datetime.now(UTC).isoformat(),
    }
    settings = {**SETTINGS, "bootstrap.servers": servers, "message.timeout.ms": TIMEOUT_MS}
    reports = []
    producer = Producer(settings, on_delivery=lambda *report: reports.append(report))
    producer.produce("enrollment.requests", json.dumps(body), student, headers=headers)
    producer.flush()  # returns when Kafka has it, or when the time is up
    [(error, message)] = reports
    if error is not None:
        sys.exit(f"Kafka did not confirm it: {error}. Send the same again; it is harmless.")
    print(f"published to partition {message.partition()} at offset {message.offset()}")


main(*sys.argv[1:])
