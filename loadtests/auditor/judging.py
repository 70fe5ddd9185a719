"""Judge a history, with tables or without: pure functions of what was read."""

from collections.abc import Iterable, Iterator

from loadtests.auditor.history import History
from loadtests.auditor.judges.agreement import AGREEMENT_JUDGES, SETTLED_JUDGES
from loadtests.auditor.judges.causes import CAUSE_JUDGES
from loadtests.auditor.judges.claims import judge_claims, judge_held_claims
from loadtests.auditor.judges.events import EVENT_JUDGES, one_partition_for_each_student
from loadtests.auditor.judges.letters import judge_letters
from loadtests.auditor.judges.refusals import judge_refusals
from loadtests.auditor.judges.repeats import contradictions_recorded
from loadtests.auditor.judges.requests import REQUEST_JUDGES
from loadtests.auditor.judges.seats import (
    judge_ledger,
    judge_sections,
    read_ledger,
    refused_for_a_reason,
)
from loadtests.auditor.judges.trail import judge_trail
from loadtests.auditor.report import Violation
from loadtests.auditor.stories import Story, StoryJudge, tell_stories
from loadtests.auditor.tables import Excuses, Tables

TOPIC_JUDGES: tuple[StoryJudge, ...] = (*EVENT_JUDGES, *CAUSE_JUDGES, *REQUEST_JUDGES)


def judge(
    history: History, tables: Tables | None = None, excuses: Excuses | None = None
) -> tuple[Violation, ...]:
    """Find every violation that can be seen at rest; `excuses` are those of the tables, if any.

    A history that forgot something (`gaps`) cannot contradict anything: then the tables are
    judged by themselves.
    """
    violations: list[Violation] = []
    known = tables or Tables()
    stories = tell_stories(history, known, excuses or known.excuses)
    if not history.gaps:
        violations += _judge_topics(history, known, stories)
    if tables is not None:
        violations += _judge_tables(history, tables, stories)
    return tuple(sorted(violations, key=_rank))


def _rank(violation: Violation) -> tuple[int, str, str]:
    return violation.invariant.number, violation.subject, violation.text


def _judge_topics(
    history: History, tables: Tables, stories: Iterable[Story]
) -> Iterator[Violation]:
    yield from history.violations
    yield from _judge_stories(stories, TOPIC_JUDGES)
    yield from one_partition_for_each_student(history.events)
    yield from judge_ledger(read_ledger(history.events), history.catalogs)
    for event in history.events:
        yield from refused_for_a_reason(event)
    yield from judge_claims(history, tables.claims)
    yield from judge_refusals(history, tables.claims)


def _judge_tables(
    history: History, tables: Tables, stories: Iterable[Story]
) -> Iterator[Violation]:
    yield from _judge_stories(stories, SETTLED_JUDGES)
    yield from judge_held_claims(tables.claims)
    for service, trail in tables.trails.items():
        yield from judge_trail(service, trail)
    if history.gaps:
        yield from judge_sections(tables, None)
        return
    yield from _judge_stories(stories, (*AGREEMENT_JUDGES, contradictions_recorded))
    yield from judge_sections(tables, read_ledger(history.events))
    yield from judge_letters(history, tables)


def _judge_stories(stories: Iterable[Story], judges: Iterable[StoryJudge]) -> Iterator[Violation]:
    for judge_story in judges:
        for story in stories:
            yield from judge_story(story)
