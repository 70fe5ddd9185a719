"""A stack in which something is wrong, and what `enroll why` says of it."""

import asyncio
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest

from deploy.local import services, stack
from deploy.local.services import Count
from deploy.local.state import ServicePlan
from loadtests.chaos.playground import Playground
from services.cli.main import app
from services.cli.target import find_target
from services.cli.why.causes import CauseKind, Diagnosis
from services.cli.why.diagnosis import diagnose
from services.cli.why.gathering import gather
from services.cli.why.telling import parts_of
from services.cli.why.tests import shifted_enrollment
from services.tests.saga.client import Finished, Saga
from services.tests.saga.waiting import eventually
from shared.clock import system_clock

USUAL_SECONDS = 1.0  # in place of five: the tests wait for it
ENVIRONMENT = {
    "DEADLINE_DEFAULT_SECONDS": "600",
    "DEADLINE_MAXIMUM_SECONDS": "600",
    "TRACE_SAMPLE_RATIO": "0",
    "KAFKA_CIRCUIT_RECOVERY_TIMEOUT": "1",
}
PLAN = services.plan


def plan_with_shifted_clock(wanted: Count) -> list[ServicePlan]:
    """Have enrollment run by a clock of its own."""
    shifted = [sys.executable, "-m", shifted_enrollment.__name__]
    return [
        one.model_copy(update={"command": shifted}) if one.service == "enrollment" else one
        for one in PLAN(wanted)
    ]


def say_nothing(_: str) -> None:
    """Nobody looks on."""


def _command(arguments: list[str]) -> Finished:
    said, errors = StringIO(), StringIO()
    with redirect_stdout(said), redirect_stderr(errors), pytest.raises(SystemExit) as ended:
        app(arguments, prog_name="enroll")
    return Finished(int(ended.value.code or 0), json.loads(said.getvalue()), errors.getvalue())


@dataclass
class Night:
    """A running stack in which something is wrong, and who asks why."""

    saga: Saga
    ground: Playground
    clock_file: Path

    async def why(self, enrollment_id: UUID) -> Diagnosis:
        """Ask as `enroll why` does."""
        facts = await gather(find_target(), enrollment_id)
        now = system_clock()
        found = diagnose(facts, now, USUAL_SECONDS)
        print("\n".join(str(part) for part in parts_of(found, now)))
        return found

    async def why_once(self, enrollment_id: UUID, kind: CauseKind) -> Diagnosis:
        """Ask until it has come to this."""

        async def look() -> Diagnosis | None:
            found = await self.why(enrollment_id)
            return found if found.finding.cause.kind is kind else None

        return await eventually(f"{enrollment_id} {kind}", look)

    async def follow(self, found: Diagnosis) -> Finished:
        """Do what it says is next, with the command that it gives."""
        assert found.finding.next.command is not None
        program, *arguments = found.finding.next.command.split()
        assert program == "enroll"
        return await self.command(*arguments)

    async def command(self, *arguments: str) -> Finished:
        """Run `enroll` in this process, which is quicker, and read its JSON."""
        return await asyncio.to_thread(_command, [*arguments, "--json"])

    def stop(self, name: str) -> None:
        """End a process, and keep it down."""
        stack.stop_one(self.ground.state_dir, name, kill=True)

    def set_clock(self, ahead_seconds: float) -> None:
        """Set enrollment's clock wrong."""
        self.clock_file.write_text(str(ahead_seconds))
