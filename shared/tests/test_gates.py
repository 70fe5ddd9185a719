"""A topic is closed while anybody has a reason to keep it closed."""

from shared.gates import Gates


def test_nothing_is_closed_at_first() -> None:
    gates = Gates()

    assert gates.closed_topics() == frozenset()
    assert not gates.is_closed_for("catalogs")


def test_a_reason_closes_its_topics_until_it_is_taken_back() -> None:
    gates = Gates()

    gates.close("catalogs", ["a", "b"])
    closed = gates.closed_topics()
    gates.open("catalogs")

    assert closed == {"a", "b"}
    assert gates.closed_topics() == frozenset()


def test_a_topic_stays_closed_while_another_reason_does_it() -> None:
    gates = Gates()
    gates.close("catalogs", ["a", "b"])
    gates.close("too many pending", ["a"])

    gates.open("catalogs")

    assert gates.closed_topics() == {"a"}
    assert not gates.is_closed_for("catalogs")
    assert gates.is_closed_for("too many pending")


def test_a_reason_given_again_closes_its_new_topics_in_place_of_the_old() -> None:
    gates = Gates()
    gates.close("catalogs", ["a"])

    gates.close("catalogs", iter(["b"]))

    assert gates.closed_topics() == {"b"}


def test_a_reason_that_was_never_given_can_be_taken_back() -> None:
    gates = Gates()
    gates.close("catalogs", ["a"])

    gates.open("another")

    assert gates.closed_topics() == {"a"}


def test_what_a_reader_has_got_does_not_change_under_it() -> None:
    gates = Gates()
    gates.close("catalogs", ["a"])

    seen = gates.closed_topics()
    gates.close("too many pending", ["b"])

    assert seen == {"a"}
