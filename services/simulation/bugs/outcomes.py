"""Mistakes about outcomes: what enrollment decides."""

from typing import Final

from services.simulation.bugs.bug import Bug

DECISIONS: Final = "services.enrollment.decisions"

OUTCOMES: Final = (
    Bug(
        "confirmed_after_rejection",
        "Seats that come after the deadline confirm an enrollment that was rejected.",
        DECISIONS,
        '    """Confirm what is still pending."""\n'
        "    if known is None or known.state is not EnrollmentState.PENDING:\n",
        '    """Confirm what is still pending."""\n'
        "    if known is None or known.state is EnrollmentState.CANCELLED:\n",
    ),
    Bug(
        "early_cancel_forgotten",
        "A cancel that comes before its request is forgotten.",
        DECISIONS,
        "    was_cancelled = known is not None and event.student_id in known.cancelled_by\n",
        "    was_cancelled = False\n",
    ),
    Bug(
        "anybodys_early_cancel",
        "A cancel that comes before the request counts, whoever sent it.",
        DECISIONS,
        "    was_cancelled = known is not None and event.student_id in known.cancelled_by\n",
        "    was_cancelled = known is not None\n",
    ),
    Bug(
        "foreign_cancel",
        "A student cancels the enrollment of another.",
        DECISIONS,
        "    if event.student_id != known.student_id:\n        digest = sha256(event",
        "    if event.reason and event.student_id != known.student_id:\n"
        "        digest = sha256(event",
    ),
    Bug(
        "content_before_id",
        "A request is refused for its content before its id is looked up.",
        DECISIONS,
        "    if known is not None and known.state is not EnrollmentState.UNOPENED:\n"
        "        return _repeat(known, event, now)\n"
        "    if isinstance(event, MalformedRequest):\n"
        "        return _refuse(event, now, traceparent, requested_at)\n",
        "    if isinstance(event, MalformedRequest):\n"
        "        return _refuse(event, now, traceparent, requested_at)\n"
        "    if known is not None and known.state is not EnrollmentState.UNOPENED:\n"
        "        return _repeat(known, event, now)\n",
    ),
    Bug(
        "rejected_may_ask_again",
        "A request whose id was rejected is opened again.",
        DECISIONS,
        "    if known is not None and known.state is not EnrollmentState.UNOPENED:\n",
        "    if known is not None and known.state not in (\n"
        "        EnrollmentState.UNOPENED, EnrollmentState.REJECTED\n    ):\n",
    ),
    Bug(
        "confirmed_stays",
        "A confirmed enrollment cannot be cancelled any more.",
        DECISIONS,
        '            return _cancel(known, "confirmed", event.reason, now)\n',
        "            return NOTHING\n",
    ),
    Bug(
        "conflict_not_recorded",
        "Another body under a known id is dropped without a trace.",
        DECISIONS,
        "    if digest != known.body_sha256:\n",
        "    if known.body_sha256 is None:\n",
    ),
    Bug(
        "deadline_of_the_client",
        "A request may name any deadline, however long.",
        "services.enrollment.model",
        "        return now + timedelta(seconds=min(wanted, self.maximum_seconds))\n",
        "        return now + timedelta(seconds=wanted)\n",
        test="services/enrollment/tests/test_decisions.py"
        "::test_the_deadline_is_what_was_asked_up_to_the_maximum",
    ),
    Bug(
        "outcome_not_kept",
        "An outcome is said, and the row stays as it was.",
        "services.enrollment.handlers",
        "    state.enrollments.put(enrollment_id, decision.enrollment)\n",
        "    if not decision.events or decision.enrollment.decided_at is None:\n"
        "        state.enrollments.put(enrollment_id, decision.enrollment)\n",
    ),
    Bug(
        "key_believed",
        "A request is taken to be of the student that its key names, not of the one in its body.",
        "shared.codec",
        "    event = _read_body(event_type, message.value)\n",
        "    event = _read_body(event_type, message.value)\n"
        "    if message.topic == REQUESTS.name:\n"
        '        student_id = (message.key or b"").decode()\n'
        '        event = event.model_copy(update={"student_id": student_id})\n',
    ),
    Bug(
        "requests_through_the_inbox",
        "Of a request and a cancel that came with one id, the second is dropped as a repeat.",
        "shared.codec",
        "    return topic not in _CATALOGS and topic != REQUESTS.name\n",
        "    return topic not in _CATALOGS\n",
    ),
    Bug(
        "deadlines_wait",
        "Deadlines wait for an enrollment that is being decided, and hold up all others.",
        "services.enrollment.store",
        "        ORDER BY deadline_at LIMIT $2 FOR UPDATE SKIP LOCKED\n",
        "        ORDER BY deadline_at LIMIT $2 FOR UPDATE\n",
        test="services/enrollment/tests/test_store.py"
        "::test_overdue_enrollments_that_are_being_decided_are_left_alone",
    ),
    Bug(
        "intake_never_reopens",
        "Once too many enrollments are pending, requests are never read again.",
        "services.enrollment.wiring",
        "    elif pending <= pending_max * REOPEN_SHARE:\n",
        "    elif pending < pending_max * 0:\n",
    ),
)
