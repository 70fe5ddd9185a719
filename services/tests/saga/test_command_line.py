from uuid import uuid4

from services.tests.saga.client import Saga


async def test_a_request_is_asked_for_shown_and_cancelled_from_the_command_line(
    saga: Saga,
) -> None:
    term, (student,) = await saga.set_up({"A": 2, "full": 0})
    asked = ("request", "--student", student, "--term", term, "--wait")

    confirmed = await saga.command(*asked, "--section", "A")
    enrollment = confirmed.data["enrollment_id"]
    shown = await saga.command("show", enrollment)
    taken = await saga.command("sections", "--term", term)
    cancelled = await saga.command("cancel", enrollment, "--wait")
    refused = await saga.command(*asked, "--section", "full")

    assert (confirmed.code, shown.code, taken.code, cancelled.code) == (0, 0, 0, 0)
    outcome = {"enrollment_id": enrollment, "stage": None, "reasons": []}
    assert confirmed.data == outcome | {"state": "confirmed"}
    assert cancelled.data == outcome | {"state": "cancelled"}
    assert (shown.data["student_id"], shown.data["sections"]) == (student, ["A"])
    assert [(step["service"], step["step"]) for step in shown.data["steps"]] == [
        ("enrollment", "opened"),
        ("student", "validated"),
        ("capacity", "reserved"),
        ("enrollment", "confirmed"),
    ]
    seats = {"capacity": 2, "reserved": 1, "free": 1, "state": "open", "version": 1}
    assert taken.data["items"][0] == {"term": term, "section_id": "A"} | seats
    assert (refused.code, refused.data["state"]) == (1, "rejected")
    assert [one["code"] for one in refused.data["reasons"]] == ["section_full"]


async def test_what_nobody_knows_is_said_to_be_unknown(saga: Saga) -> None:
    shown = await saga.command("show", str(uuid4()))

    assert (shown.code, shown.data["state"], shown.data["steps"]) == (1, "unknown", [])


async def test_status_and_audit_say_that_all_is_well(saga: Saga) -> None:
    term, (student,) = await saga.set_up({"A": 1})
    await saga.outcome(saga.request(student, term, "A"))
    await saga.rest()

    status = await saga.command("status")
    audit = await saga.command("audit")

    assert (status.code, audit.code) == (0, 0)
    assert set(status.data["services"]) == {"enrollment", "student", "capacity", "ingress"}
    for service in status.data["services"].values():
        assert (service["state"], service["ready"], service["relays"]) == ("ready", True, True)
        assert set(service["lag"].values()) == {0}
    assert {one["state"] for one in status.data["servers"].values()} == {"ready"}
    assert (audit.data["violations"], audit.data["still_moving"]) == ([], [])
    assert audit.data["enrollments_by_state"]["confirmed"] > 0
