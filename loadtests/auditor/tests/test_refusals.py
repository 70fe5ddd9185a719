from loadtests.auditor.tests.day import OTHER, Day, sound_day

NEW = "00000000-0000-0000-0000-000000000014"


def refuse(day: Day, student_id: str, section_id: str, code: str) -> None:
    """Open enrollment NEW of a student in a section, and let student refuse it."""
    day.open(day.request(20, student_id, section_id), student_id, section_id)
    day.find_ineligible(NEW, code, section_id)
    day.reject(NEW, "eligibility", code, section=section_id)


def test_a_refusal_for_a_clash_with_nothing_is_found() -> None:
    day = sound_day()
    refuse(day, "bob", "2", "time_conflict")
    assert day.violations() == [
        (
            f"invariant 4: enrollment {NEW}: refused for time_conflict: section 2 clashes with 0 "
            "of 1 slots held or asked for"
        )
    ]


def test_a_refusal_for_a_section_that_is_not_held_is_found() -> None:
    day = sound_day()
    refuse(day, "bob", "2", "already_enrolled")
    assert day.violations() == [
        f"invariant 4: enrollment {NEW}: refused for already_enrolled: 0 of 1 claims hold section 2"
    ]


def test_a_refusal_for_a_section_that_is_held_is_no_violation() -> None:
    day = sound_day()
    refuse(day, "bob", "1", "already_enrolled")
    assert day.violations() == []


def test_a_refusal_within_the_credit_limit_is_found() -> None:
    day = sound_day()
    refuse(day, "bob", "2", "credit_limit")
    assert day.violations() == [
        (
            f"invariant 4: enrollment {NEW}: refused for credit_limit: 3 credits claimed and 3 "
            "asked for, the limit is 6"
        )
    ]


def test_a_refusal_beyond_the_credit_limit_is_no_violation() -> None:
    day = sound_day()
    refuse(day, "ann", "3", "credit_limit")
    assert day.violations() == []


def test_a_refusal_after_the_claim_that_caused_it_was_given_back_is_found() -> None:
    day = sound_day()
    day.ask_to_cancel(OTHER, "bob")
    day.cancel(OTHER)
    refuse(day, "bob", "1", "already_enrolled")
    assert day.violations() == [
        f"invariant 4: enrollment {NEW}: refused for already_enrolled: 0 of 0 claims hold section 1"
    ]


def test_a_refusal_under_catalogs_that_changed_is_not_judged() -> None:
    day = sound_day()
    day.publish_student("bob", max_credits=3)
    refuse(day, "bob", "2", "credit_limit")
    assert day.violations() == []
