from loadtests.day.applying import is_behind
from loadtests.day.catalogs import Known, key_of, learn
from loadtests.day.tests import making
from shared.events import Event, SectionPublished


def section(version: int = 0, capacity: int = 5) -> SectionPublished:
    return making.section("1.1", version=version, capacity=capacity)


def learned(*events: Event) -> dict[str, Known]:
    known: dict[str, Known] = {}
    for event in events:
        learn(known, event)
    return known


def test_keys_are_those_of_the_topics() -> None:
    assert key_of(section()) == "fall/1.1"
    assert key_of(making.student("S1")) == "S1"


def test_of_equal_versions_the_first_counts() -> None:
    assert learned(section(7, capacity=6), section(7, capacity=9)) == {
        "fall/1.1": Known(7, section(7, capacity=6))
    }


def test_a_reader_is_behind_until_it_has_stored_the_end() -> None:
    assert is_behind(stored=4, end=5, is_new=False)
    assert not is_behind(stored=5, end=5, is_new=True)


def test_a_reader_without_an_offset_is_behind_only_where_something_is_new() -> None:
    assert is_behind(stored=-1001, end=5, is_new=True)
    assert not is_behind(stored=-1001, end=5, is_new=False)
