"""A whole target for the commands: real Kafka, and a fresh database for each service."""

import pytest

from deploy.local.servers import LocalServers
from services.cli import dead_letter_commands, enrollment_commands, export_commands
from services.cli.target import INGRESS, Target
from shared.choreography import Service
from shared.tests.lending import Lender


@pytest.fixture
async def target(
    servers: LocalServers, databases: Lender, monkeypatch: pytest.MonkeyPatch
) -> Target:
    """What the commands find instead of a running stack."""
    names = (*(service.value for service in Service), INGRESS)
    urls = {name: await databases.make(name) for name in names}
    found = Target(servers.kafka_url, urls)
    monkeypatch.setattr(enrollment_commands, "find_target", lambda: found)
    monkeypatch.setattr(export_commands, "find_target", lambda: found)
    monkeypatch.setattr(dead_letter_commands, "find_target", lambda: found)
    return found
