"""Sends messages whose headers have names of any bytes, as not every client does."""

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from services.tests.saga.client import Mail
from services.tests.saga.odd_messages import NoText
from shared.choreography import REQUESTS

BUILDERS = [
    f"aiokafka.producer.{module}.DefaultRecordBatchBuilder"
    for module in ("producer", "message_accumulator")
]


def is_raw(mail: Mail) -> bool:
    """Tell whether a message is one for `send_raw` alone."""
    return any(isinstance(name, NoText) for name, _ in mail.headers)


async def send_raw(kafka_url: str, mail: Mail, partition: int) -> tuple[int, int]:
    """Send to the topic of requests, and give the partition and the offset."""
    with pytest.MonkeyPatch.context() as patch:
        for builder in BUILDERS:  # the one in C encodes all names itself
            patch.setattr(builder, _DefaultRecordBatchBuilderPy)
        producer = AIOKafkaProducer(bootstrap_servers=kafka_url)
        await producer.start()
        try:
            record = await producer.send_and_wait(
                REQUESTS.name, mail.body, mail.key, partition, headers=mail.headers
            )
        finally:
            await producer.stop()
    return record.partition, record.offset
