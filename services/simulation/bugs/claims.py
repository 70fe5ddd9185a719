"""Mistakes about claims: what student decides."""

from typing import Final

from services.simulation.bugs.bug import Bug

DECISIONS: Final = "services.student.decisions"
RULES: Final = "services.student.rules"

CLAIMS: Final = (
    Bug(
        "claim_release_leaves_no_mark",
        "A release that overtakes its request leaves no mark, so a claim is made after it.",
        DECISIONS,
        "        return Decision(mark)\n",
        "        return Decision()\n",
    ),
    Bug(
        "claimed_again_after_release",
        "An enrollment whose claim was released may claim again.",
        DECISIONS,
        "    if known is not None:\n        return Decision()\n    reasons",
        "    if known is not None and known.state is not ClaimState.RELEASED:\n"
        "        return Decision()\n    reasons",
    ),
    Bug(
        "claim_kept_on_cancel",
        "A cancelled enrollment keeps its claim; a rejected one gives it back.",
        DECISIONS,
        "    if known.student_id != event.student_id:\n",
        "    if isinstance(event, EnrollmentCancelled):\n",
    ),
    Bug(
        "limit_of_one_request",
        "The credit limit is held against the request alone.",
        RULES,
        "    if claimed + asked > limit:\n",
        "    if asked > limit:\n",
    ),
    Bug(
        "limit_at_todays_credits",
        "What is held counts with the credits that its sections have today.",
        RULES,
        "    claimed = sum(claim.credits for claim in request.held)\n",
        "    claimed = sum(section.credits for section in request.others())\n",
    ),
    Bug(
        "held_times_ignored",
        "Only the sections of one request are held against each other for time.",
        RULES,
        "    taken = [slot for claim in request.held for slot in claim.slots]\n",
        "    taken: list[Slot] = []\n",
    ),
    Bug(
        "enrolled_twice",
        "A student may hold the same section by two enrollments.",
        RULES,
        "    not_enrolled_already,\n",
        "",
    ),
    Bug(
        "one_minute_is_shared",
        "Sections that share their first minute alone do not clash.",
        "services.student.model",
        "            self.start_minute < other.end_minute\n"
        "            and other.start_minute < self.end_minute\n",
        "            self.start_minute < other.start_minute < self.end_minute\n",
    ),
    Bug(
        "gives_back_other_credits",
        "The event that gives a claim back names other credits than were claimed.",
        DECISIONS,
        "        sections=held.sections,\n        credits=held.credits,\n",
        "        sections=held.sections,\n        credits=len(held.sections),\n",
    ),
    Bug(
        "deleted_student_claims",
        "A student who was deleted from the catalog may still enroll.",
        "services.student.handlers",
        "        student=None if student is None or student.is_withdrawn else student.published,\n",
        "        student=None if student is None else student.published,\n",
    ),
    Bug(
        "student_not_locked",
        "Two requests of a student are decided at once, and both pass her limit.",
        "services.student.store",
        "ANY($1::text[]) ORDER BY student_id FOR UPDATE",
        "ANY($1::text[]) ORDER BY student_id",
        test="services/student/tests/test_store.py"
        "::test_two_requests_of_a_student_at_once_do_not_both_pass_her_limit",
    ),
    Bug(
        "older_entry_written",
        "An older entry of the catalog is written over the newer one of another process.",
        "services.student.store",
        "            published = excluded.published\n"
        "        WHERE section.version <= excluded.version\n",
        "            published = excluded.published\n",
        test="services/student/tests/test_store.py"
        "::test_of_two_entries_that_come_at_once_the_newer_stays",
    ),
)
