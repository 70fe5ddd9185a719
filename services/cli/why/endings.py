"""Judges an enrollment that is decided: with which outcome, why, and whether all is given back."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from services.cli.why.causes import (
    CauseKind,
    Finding,
    Judged,
    Next,
    Verdict,
    finding,
    look_again,
    replay_letter,
    restart,
    seconds,
)
from services.cli.why.clocks import clock_errors
from services.cli.why.facts import EnrollmentRow, Facts, Known, StepRow
from services.cli.why.obstacles import hop_of, obstacle
from services.enrollment.model import EnrollmentState
from shared.choreography import REACTIONS, SECTION_CATALOG, Service
from shared.events import EnrollmentCancelled, EnrollmentRejected, Event, ReasonCode, Stage

ENDS: Mapping[EnrollmentState, type[Event]] = {
    EnrollmentState.REJECTED: EnrollmentRejected,
    EnrollmentState.CANCELLED: EnrollmentCancelled,
}
RELEASES = {
    "StudentClaimReleased": "student gave its credits and time slots back",
    "SeatReleased": "capacity gave its seats back",
}
REDIS_AWAY = "Redis does not answer: nothing is lost, and answers to HTTP come without the cache"
MARKED = "both others have noted its end; whether they gave something back, the topics would tell"


def nothing(sentence: str) -> Next:
    """Nothing is to be done."""
    return Next(f"Nothing: {sentence}")


def clock_off(error: tuple[str, timedelta]) -> Finding:
    """Say whose clock is wrong."""
    service, ahead = error
    which = "ahead of" if ahead > timedelta() else "behind"
    sentence = f"the clock of {service} is at least {seconds(abs(ahead))} {which} the others"
    text = (
        f"Set the clock of the machine that runs {service} right; whatever its deadline rejected "
        "may be asked for again under a new id."
    )
    return finding(service, CauseKind.CLOCK_OFF, sentence, Next(text, "timedatectl status"))


def confirmed(facts: Facts, row: EnrollmentRow) -> Judged:
    """All is well; what is wrong beside it is said nevertheless."""
    where = f"it is confirmed: {_took(row)}"
    found = redis_away(facts) or finding(
        Service.ENROLLMENT,
        CauseKind.DECIDED,
        "its seats are reserved in all of its sections",
        nothing("it is decided."),
    )
    return Judged("confirmed", where, found, Verdict.FINE, row.decided_at)


def redis_away(facts: Facts) -> Finding | None:
    """Without Redis nothing is lost, and who asks by HTTP may notice."""
    if facts.servers.get("redis", True):
        return None
    text = "Start Redis again; what it remembered is found in the database meanwhile."
    return finding("redis", CauseKind.SERVER_DOWN, REDIS_AWAY, restart("redis", text))


def ended(facts: Facts, row: EnrollmentRow, now: datetime, usual: timedelta) -> Judged:
    """Rejected or cancelled: the others have to give back what they hold."""
    event = ENDS[row.state]
    awaited = [
        one.service
        for one in REACTIONS
        if one.on is event
        and one.service in facts.databases
        and not _is_released(facts, one.service)
    ]
    where = f"it is {row.state.value}{_stage(row)}: {_took(row)}"
    for service in awaited:
        found = obstacle(facts, hop_of(event, service), now, usual)
        if found is not None:
            where += f"; {service} has still to give back what it holds"
            return Judged(row.state.value, where, found, Verdict.STUCK, row.decided_at, service)
    if awaited:
        where += f"; {' and '.join(awaited)} will give back what it holds"
        is_late = row.decided_at is not None and now - row.decided_at > usual
        found = _giving_back(facts, awaited[0], is_late=is_late)
        verdict = Verdict.STUCK if is_late else Verdict.FINE
        return Judged(row.state.value, where, found, verdict, row.decided_at, awaited[0])
    unseen = [name for name in (Service.STUDENT, Service.CAPACITY) if name not in facts.databases]
    if unseen:
        where += f"; whether {' and '.join(unseen)} gave back what it held cannot be seen"
    else:
        where += f"; {_given_back(facts)}"
    found = _why(facts, row, now) or redis_away(facts) or _plain(row)
    verdict = Verdict.UNSEEN if unseen else Verdict.FINE
    return Judged(row.state.value, where, found, verdict, row.decided_at)


def _giving_back(facts: Facts, service: str, *, is_late: bool) -> Finding:
    """Nothing is in the way: it takes a moment, or nobody can see what is the matter."""
    sentence = f"{service} has not reacted to its end yet"
    if is_late:
        to_do = Next("See what tables and topics contradict each other in.", "enroll audit")
        return finding(service, CauseKind.UNEXPLAINED, sentence, to_do)
    to_do = look_again(facts.enrollment_id, "Wait a moment.")
    return finding(service, CauseKind.ON_ITS_WAY, sentence, to_do)


def _is_released(facts: Facts, service: str) -> bool:
    step = facts.step(service)
    return step is not None and step.state == "released"


def _given_back(facts: Facts) -> str:
    """Rows forget whether there was something to give back; the topics have it for some days."""
    if not facts.messages:
        return MARKED
    types = {one.event_type for one in facts.messages}
    types |= {one.event_type for base in facts.databases.values() for one in base.outbox_own}
    said = [sentence for event_type, sentence in RELEASES.items() if event_type in types]
    return " and ".join(said) or "nothing was held, so nothing had to be given back"


def _held(step: StepRow) -> bool:
    """Tell a claim from a mark that came first: that one is released as it is made."""
    return step.is_answered and step.decided_at != step.released_at


def _stage(row: EnrollmentRow) -> str:
    codes = ", ".join(
        f"{one.get('code')} {one.get('section_id') or ''}".strip() for one in row.reasons
    )
    return f" (stage {row.stage}: {codes})" if row.stage else ""


def _took(row: EnrollmentRow) -> str:
    if row.opened_at is None or row.decided_at is None:
        return "decided"
    return f"decided {seconds(row.decided_at - row.opened_at)} after it was opened"


def _plain(row: EnrollmentRow) -> Finding:
    if row.state is EnrollmentState.CANCELLED:
        text = nothing("it was cancelled as somebody asked.")
        return finding(Service.ENROLLMENT, CauseKind.DECIDED, "it was cancelled", text)
    owner = {Stage.ELIGIBILITY: Service.STUDENT, Stage.CAPACITY: Service.CAPACITY}
    service = owner.get(Stage(row.stage or Stage.REQUEST), Service.ENROLLMENT)
    details = "; ".join(str(one.get("detail", one.get("code"))) for one in row.reasons)
    sentence = f"{service} refused it: {details}"
    text = nothing("the student may ask again once the reason is gone.")
    return finding(service, CauseKind.REFUSED, sentence, text)


def _why(facts: Facts, row: EnrollmentRow, now: datetime) -> Finding | None:
    """Look behind a refusal that may be no fault of the student's."""
    codes = {str(one.get("code")): one for one in row.reasons}
    if row.stage == Stage.DEADLINE:
        return _late(facts, row, now)
    if ReasonCode.UNKNOWN_SECTION in codes:
        section_id = str(codes[ReasonCode.UNKNOWN_SECTION].get("section_id"))
        return _unknown_section(facts, row, section_id)
    return None


def _late(facts: Facts, row: EnrollmentRow, now: datetime) -> Finding:
    """Say who had not answered by the deadline, or whose clock made it pass."""
    errors = clock_errors(facts, now)
    if Service.ENROLLMENT in errors:
        return clock_off((Service.ENROLLMENT, errors[Service.ENROLLMENT]))
    service = _awaited_at_deadline(facts, row)
    sentence = f"{service} had not reacted by its deadline"
    text = nothing("the student may ask again under a new id.")
    return finding(service, CauseKind.DEADLINE_PASSED, sentence, text)


def _awaited_at_deadline(facts: Facts, row: EnrollmentRow) -> str:
    for service in (Service.STUDENT, Service.CAPACITY):
        step = facts.step(service)
        answered_at = step.decided_at if step is not None and _held(step) else None
        if answered_at is None or (row.decided_at is not None and answered_at > row.decided_at):
            return service
    return Service.ENROLLMENT


def _unknown_section(facts: Facts, row: EnrollmentRow, section_id: str) -> Finding:
    service = Service.STUDENT if row.stage == Stage.ELIGIBILITY else Service.CAPACITY
    known = {
        name: facts.databases[name].sections.get(section_id, Known(None))
        for name in (Service.STUDENT, Service.CAPACITY)
        if name in facts.databases
    }
    said = "; ".join(f"{name} {_version(one)}" for name, one in known.items())
    versions = {one.version for one in known.values()}
    kind = CauseKind.CATALOGS_DISAGREE if len(versions) > 1 else CauseKind.UNKNOWN_SECTION
    sentence = f"{service} did not know section {section_id} of {row.term}: now {said}"
    return finding(service, kind, sentence, _mend_catalog(facts, section_id, known))


def _version(known: Known) -> str:
    if known.version is None:
        return "does not know it"
    return f"knows version {known.version}{f' ({known.note})' if known.note else ''}"


def _mend_catalog(facts: Facts, section_id: str, known: Mapping[Service, Known]) -> Next:
    for letter in facts.letters:
        if letter.about == section_id and letter.topic == SECTION_CATALOG.name:
            text = f"{letter.service} has parked its catalog entry: mend what the reason names"
            return replay_letter(letter.service, letter.id, f"{text}, then replay it.")
    if known and all(one.version is not None for one in known.values()):
        return nothing("all know it by now; the student may ask again under a new id.")
    text = "Have the registrar publish the section, if there is one; then ask under a new id"
    return Next(f"{text}.", "enroll import DIR")
