"""Starts a stack of its own, has all stages played on it, and judges what they left."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvloop

from deploy.local import keys, services, stack
from deploy.local.services import Count
from deploy.local.state import Plan
from deploy.local.status import Status
from deploy.local.tokens import issuer_with
from loadtests.chaos.journal import opened_journal
from loadtests.chaos.playground import Say, refuse_what_is_not_ours
from loadtests.chaos.workload import Campus, ample_campus
from loadtests.day.importing import publish_and_wait
from loadtests.day.running import audited
from loadtests.overload.playing import Ground, Wishes, play
from loadtests.overload.report import OverloadReport
from loadtests.overload.requests import Requests
from shared.clock import system_clock

CLIENT: Final = "overload"
TOKEN_SECONDS: Final = 86_400  # longer than any of this takes


def run_overload(state_dir: Path, wishes: Wishes, say: Say) -> OverloadReport:
    """Play all stages and audit what they left."""
    load_before = os.getloadavg()[0]
    campus = ample_campus(wishes.students, wishes.sections)
    with _running(state_dir, wishes, say) as found:
        say("signing the students' tokens")
        ground = Ground(found, Requests(campus, _tokens(state_dir, campus)))
        publish_and_wait(ground.kafka_url, campus.catalog())
        played = uvloop.run(play(ground, wishes, say))
        load = (load_before, os.getloadavg()[0])
        violations = audited(ground.kafka_url, ground.database_urls, say)
    return OverloadReport(played, load, violations)


@contextmanager
def _running(state_dir: Path, wishes: Wishes, say: Say) -> Iterator[Status]:
    """Run a new stack for the block; the data stays to be looked at."""
    refuse_what_is_not_ours(state_dir)
    stack.down(state_dir, wipe=True)
    count = Count(instances=1, ingresses=wishes.ingresses)
    plan = Plan(services=services.plan(count), quick_start=wishes.quick_start)
    with opened_journal(state_dir):  # by which the next run knows that it may wipe all this
        try:
            yield stack.up(state_dir, plan=plan, on_progress=say)
        finally:
            say("stopping what was started")
            stack.down(state_dir)


def _tokens(state_dir: Path, campus: Campus) -> list[str]:
    issuer = issuer_with(keys.private_key_file(state_dir))
    now = system_clock()
    return [
        issuer.student(student, client=CLIENT, now=now, lifetime_seconds=TOKEN_SECONDS)
        for student in campus.students
    ]
