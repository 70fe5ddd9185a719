from loadtests.auditor.catalogs import Slot
from loadtests.auditor.tests.day import CANCELLED, CONFIRMED, LATE, NOON, OTHER, TERM, sound_day

SECOND = "00000000-0000-0000-0000-000000000014"


def test_a_claim_above_the_limit_of_its_time_is_found() -> None:
    day = sound_day()
    day.claims[CONFIRMED] = day.claims[CONFIRMED]._replace(credit_limit=5)
    assert day.violations() == [
        "invariant 4: student ann in term T: 1 claims hold 6 credits, the latest limit is 5",
        (
            f"invariant 4: student ann in term T: enrollment {CONFIRMED} claims 6 credits on top "
            "of 0, the limit then was 5"
        ),
        (
            f"invariant 4: student ann in term T: enrollment {CONFIRMED} claims with 5, 6 as limit "
            "in the catalog"
        ),
    ]


def test_two_claims_that_exceed_the_limit_together_are_found_without_tables() -> None:
    day = sound_day()
    day.publish_section("4", capacity=9, start_minute=900)
    day.enroll(20, "ann", "4")
    assert (
        f"invariant 4: student ann in term T: enrollment {SECOND} claims 3 credits on top of 6, "
        "the limit then was 6" in day.violations_of_topics()
    )


def test_a_limit_that_was_lowered_later_is_no_violation() -> None:
    day = sound_day()
    body = {"version": 2, "student_id": "ann", "max_credits": 1}
    day.say("StudentPublished", "ann", body)
    assert day.violations() == []


def test_a_section_that_two_enrollments_of_a_student_claim_is_found() -> None:
    day = sound_day()
    day.enroll(20, "bob", "1")
    assert (
        f"invariant 4: student bob in term T: section 1 is claimed by enrollments {OTHER} and "
        f"{SECOND}" in day.violations_of_topics()
    )


def test_claims_that_clash_in_time_are_found() -> None:
    day = sound_day()
    day.enroll(20, "bob", "3")
    clash = (
        f"invariant 4: student bob in term T: section 3 of enrollment {SECOND} clashes with "
        f"section 1 of enrollment {OTHER}"
    )
    assert clash in day.violations_of_topics()
    assert clash in day.violations()


def test_a_claim_that_clashes_with_itself_is_found() -> None:
    day = sound_day()
    day.enroll(20, "cem", "1", "3")
    assert any(
        f"section 1 of enrollment {SECOND} clashes with section 3 of enrollment {SECOND}" in text
        for text in day.violations_of_topics()
    )


def test_a_section_asked_for_again_after_its_release_is_no_violation() -> None:
    day = sound_day()
    day.enroll(20, "dot", "2")
    assert day.violations() == []


def test_more_credits_given_back_than_claimed_are_found() -> None:
    day = sound_day()
    day.find(CANCELLED, "StudentClaimReleased").body["credits"] = 4
    assert (
        f"invariant 4: student dot in term T: enrollment {CANCELLED} claimed 3 credits and gave "
        "back 4" in day.violations_of_topics()
    )


def test_other_credits_than_the_catalog_has_are_found() -> None:
    day = sound_day()
    day.find(OTHER, "StudentValidated").body["credits"] = 2
    assert day.violations() == [
        (
            f"invariant 4: student bob in term T: enrollment {OTHER} claims with 2, 3 credits in "
            "the catalog"
        ),
        (
            f"invariant 4: student bob in term T: enrollment {OTHER} claims with 2, 3 credits in "
            "the database"
        ),
    ]


def test_other_slots_than_the_catalog_has_are_found() -> None:
    day = sound_day()
    slots = (Slot("1", 2, 1, 480, 540),)
    day.claims[OTHER] = day.claims[OTHER]._replace(slots=slots)
    assert [text for text in day.violations() if "as slots in the catalog" in text]


def test_a_claim_that_is_not_given_back_is_found() -> None:
    day = sound_day()
    day.drop(LATE, "StudentClaimReleased")
    assert (
        f"invariant 4: enrollment {LATE}: EnrollmentRejected, but no StudentClaimReleased: its "
        "claim is an orphan" in day.violations_of_topics()
    )


def test_held_claims_that_overlap_are_found_in_the_table_alone() -> None:
    day = sound_day()
    extra = day.claims[OTHER]._replace(enrollment_id=SECOND, decided_at=NOON)
    day.claims[SECOND] = extra
    assert (
        f"invariant 4: student bob in term {TERM}: section 1 is claimed by enrollments {OTHER} "
        f"and {SECOND}" in day.violations()
    )
