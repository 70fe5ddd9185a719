"""Holds the code to the one table that says who reacts to what, and who says what."""

import ast
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from services.capacity import decisions as capacity_decisions
from services.capacity import handlers as capacity_handlers
from services.enrollment import decisions as enrollment_decisions
from services.enrollment import handlers as enrollment_handlers
from services.enrollment.ingress.view import decisions as view_decisions
from services.enrollment.ingress.view import handlers as view_handlers
from services.student import decisions as student_decisions
from services.student import handlers as student_handlers
from shared import events
from shared.choreography import (
    DEADLINE_PASSED,
    REACTIONS,
    TOPIC_OF,
    TOPICS,
    VIEWED,
    Service,
    Topic,
    patient_events,
    subscriptions,
)
from shared.events import (
    Contract,
    EnrollmentCancelled,
    EnrollmentEvent,
    EnrollmentRejected,
    EnrollmentRequested,
    Event,
    MalformedRequest,
    SectionPublished,
    SectionsEvent,
    SectionWithdrawn,
    StudentPublished,
    StudentWithdrawn,
)

HANDLERS: Mapping[Service, ModuleType] = {
    Service.ENROLLMENT: enrollment_handlers,
    Service.STUDENT: student_handlers,
    Service.CAPACITY: capacity_handlers,
}
DECISIONS: Mapping[Service, ModuleType] = {
    Service.ENROLLMENT: enrollment_decisions,
    Service.STUDENT: student_decisions,
    Service.CAPACITY: capacity_decisions,
}
# How some messages of a topic read: whoever reacts to the event meets these as well.
READINGS: Mapping[type[Event], type[Event]] = {
    EnrollmentRequested: MalformedRequest,
    SectionPublished: SectionWithdrawn,
    StudentPublished: StudentWithdrawn,
}
BASES = {Event, EnrollmentEvent, SectionsEvent}

services = pytest.mark.parametrize("service", Service)


def events_of_the_contract() -> set[type[Event]]:
    """Every concrete event that crosses a topic: all of shared.events but the readings."""
    found = {
        value
        for value in vars(events).values()
        if isinstance(value, type) and issubclass(value, Event)
    }
    return found - BASES - set(READINGS.values())


def reactions_of(service: Service) -> dict[type[Event], Any]:
    reactions: dict[type[Event], Any] = HANDLERS[service].REACTIONS
    return reactions


def events_to_react_to(service: Service) -> set[type[Event]]:
    return {r.on for r in REACTIONS if r.service is service and isinstance(r.on, type)}


def says(service: Service) -> set[type[Event]]:
    return {said for r in REACTIONS if r.service is service for said in r.says}


def written_by(service: Service) -> set[type[Event]]:
    return {event for topic in TOPICS if topic.writer is service for event in topic.events}


def constructed_in(module: ModuleType) -> set[type[Event]]:
    """The contract's events that a module makes: calls of their classes, by the syntax tree."""
    assert module.__file__ is not None
    return constructed_by(Path(module.__file__).read_text(encoding="utf-8"))


def constructed_by(source: str) -> set[type[Event]]:
    names = {
        node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
    }
    return {event for event in events_of_the_contract() if event.__name__ in names}


# Who reacts to what.


@services
def test_a_service_reacts_to_what_the_table_says_and_to_how_it_reads(service: Service) -> None:
    table = events_to_react_to(service)

    readings = {READINGS[event] for event in table if event in READINGS}

    assert set(reactions_of(service)) == table | readings


@services
def test_handlers_are_named_for_what_they_react_to(service: Service) -> None:
    for handler in reactions_of(service).values():
        assert handler.__name__.startswith("on_")
        assert getattr(HANDLERS[service], handler.__name__) is handler


@services
def test_a_service_has_no_handler_that_nothing_calls(service: Service) -> None:
    made = {name for name in vars(HANDLERS[service]) if name.startswith("on_")}

    used = {handler.__name__ for handler in reactions_of(service).values()}

    by_clock = {"on_deadlines_passed"} if service is Service.ENROLLMENT else set()
    assert made == used | by_clock


def test_enrollment_alone_reacts_to_the_deadline() -> None:
    assert [r.service for r in REACTIONS if r.on == DEADLINE_PASSED] == [Service.ENROLLMENT]
    assert {r.on for r in REACTIONS if isinstance(r.on, str)} == {DEADLINE_PASSED}


def test_each_reaction_has_one_line() -> None:
    lines = Counter((r.on, r.service) for r in REACTIONS)

    assert [line for line, count in lines.items() if count > 1] == []


# Who watches.


def test_the_ingress_hears_what_the_table_says_and_how_it_reads() -> None:
    readings = {READINGS[event] for event in VIEWED if event in READINGS}

    assert len(VIEWED) == len(set(VIEWED))
    assert set(view_handlers.REACTIONS) == set(VIEWED) | readings


def test_the_ingress_watches_every_event_of_the_saga() -> None:
    of_the_saga = {event for service in Service for event in written_by(service)}

    assert of_the_saga <= set(VIEWED)


def test_the_ingress_has_handlers_named_for_what_they_hear_and_none_that_nothing_calls() -> None:
    made = {name for name in vars(view_handlers) if name.startswith("on_")}

    used = {handler.__name__ for handler in view_handlers.REACTIONS.values()}

    assert made == used


@pytest.mark.parametrize("module", [view_handlers, view_decisions])
def test_the_ingress_says_nothing_by_watching(module: ModuleType) -> None:
    assert constructed_in(module) == set()


# Who says what.


@services
def test_a_service_says_what_the_table_says_and_nothing_else(service: Service) -> None:
    assert constructed_in(DECISIONS[service]) == says(service)


@services
def test_only_decisions_make_the_sagas_events(service: Service) -> None:
    folder = Path(str(DECISIONS[service].__file__)).parent
    of_the_saga = {event for one in Service for event in written_by(one)}

    makers = {
        path.name
        for path in folder.glob("*.py")
        if constructed_by(path.read_text("utf-8")) & of_the_saga
    }

    assert makers == {"decisions.py"}


@services
def test_a_service_says_every_event_of_its_topics_and_none_of_anothers(service: Service) -> None:
    assert says(service) == written_by(service)


def test_calls_are_found_by_name_and_by_module() -> None:
    source = "a = SeatReserved(x=1)\nb = events.SeatReleased()\nc = [SeatUnavailable]\n"

    found = {event.__name__ for event in constructed_by(source)}

    assert found == {"SeatReserved", "SeatReleased"}


# What goes where.


def test_each_event_belongs_to_exactly_one_topic() -> None:
    carried = Counter(event for topic in TOPICS for event in topic.events)

    assert carried == Counter(events_of_the_contract())
    assert set(TOPIC_OF) == events_of_the_contract()


def test_each_topic_has_one_name_and_each_service_one_topic() -> None:
    names = [topic.name for topic in TOPICS]
    writers = Counter(topic.writer for topic in TOPICS if topic.writer is not None)

    assert len(names) == len(set(names))
    assert writers == Counter(Service)


def test_catalogs_are_written_from_outside_and_carry_one_event_each() -> None:
    catalogs = [topic for topic in TOPICS if topic.is_catalog]

    assert {event for topic in catalogs for event in topic.events} == {
        SectionPublished,
        StudentPublished,
    }
    assert all(topic.writer is None and len(topic.events) == 1 for topic in catalogs)


@services
def test_a_service_subscribes_to_the_topics_of_what_it_reacts_to(service: Service) -> None:
    events_read = [event for event in reactions_of(service) if event in TOPIC_OF]

    needed: set[Topic] = {TOPIC_OF[event] for event in events_read}

    assert set(subscriptions(service)) == needed
    assert len(subscriptions(service)) == len(needed)


@services
def test_no_service_reads_what_it_writes(service: Service) -> None:
    assert all(topic.writer is not service for topic in subscriptions(service))


def test_only_giving_back_can_wait() -> None:
    ends = {EnrollmentRejected, EnrollmentCancelled}

    patient = {service: patient_events(service) for service in Service}

    assert patient == {
        Service.ENROLLMENT: set(),
        Service.STUDENT: ends,
        Service.CAPACITY: ends,
    }


def test_every_event_is_reacted_to_or_ends_the_story() -> None:
    heard = {r.on for r in REACTIONS}

    unheard = {event.__name__ for event in events_of_the_contract() if event not in heard}

    assert unheard == {"EnrollmentConfirmed", "StudentClaimReleased", "SeatReleased"}


def test_every_event_of_an_enrollment_names_its_student() -> None:
    catalogs = {SectionPublished, StudentPublished}

    for event in events_of_the_contract() - catalogs:
        assert issubclass(event, EnrollmentEvent)
        assert {"enrollment_id", "student_id"} <= set(event.model_fields)


def test_values_of_the_contract_are_frozen_and_ignore_fields_that_they_do_not_know() -> None:
    values = {v for v in vars(events).values() if isinstance(v, type) and issubclass(v, Contract)}

    for value in values:
        assert value.model_config.get("frozen") is True
        assert value.model_config.get("extra") == "ignore"
