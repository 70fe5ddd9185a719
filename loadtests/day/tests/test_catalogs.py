from loadtests.day.applying import is_behind
from loadtests.day.catalogs import Known, key_of, learn, news
from loadtests.day.tests import making
from shared.events import Event, Hold, SectionPublished, SectionWithdrawn, StudentPublished
from shared.identifiers import SectionId, SectionKey, Term


def section(version: int = 0, capacity: int = 5) -> SectionPublished:
    return making.section("1.1", version=version, capacity=capacity)


def student(version: int = 0, holds: tuple[Hold, ...] = ()) -> StudentPublished:
    return making.student("S1", version=version, holds=holds)


def learned(*events: Event) -> dict[str, Known]:
    known: dict[str, Known] = {}
    for event in events:
        learn(known, event)
    return known


def test_keys_are_those_of_the_topics() -> None:
    assert key_of(section()) == "fall/1.1"
    assert key_of(student()) == "S1"


def test_what_is_new_begins_with_version_1() -> None:
    assert list(news([section(), student()], {})) == [section(1), student(1)]


def test_what_is_known_as_it_is_is_no_news() -> None:
    assert list(news([section()], learned(section(7)))) == []


def test_what_differs_gets_the_next_version() -> None:
    assert list(news([section(capacity=6)], learned(section(7)))) == [section(8, capacity=6)]


def test_the_highest_version_counts_not_the_last() -> None:
    known = learned(section(7, capacity=6), section(3, capacity=9))

    assert list(news([section(capacity=6)], known)) == []
    assert list(news([section(capacity=9)], known)) == [section(8, capacity=9)]


def test_of_equal_versions_the_first_counts() -> None:
    assert learned(section(7, capacity=6), section(7, capacity=9)) == {
        "fall/1.1": Known(7, section(7, capacity=6))
    }


def test_what_was_withdrawn_is_published_again() -> None:
    withdrawn = SectionWithdrawn(key=SectionKey(Term("fall"), SectionId("1.1")))

    assert list(news([section()], learned(section(7), withdrawn))) == [section(8)]


def test_the_file_is_the_whole_truth_about_a_student() -> None:
    held = learned(student(2, holds=(Hold(code="debt"),)))

    assert list(news([student()], held)) == [student(3)]


def test_a_reader_is_behind_until_it_has_stored_the_end() -> None:
    assert is_behind(stored=4, end=5, is_new=False)
    assert not is_behind(stored=5, end=5, is_new=True)


def test_a_reader_without_an_offset_is_behind_only_where_something_is_new() -> None:
    assert is_behind(stored=-1001, end=5, is_new=True)
    assert not is_behind(stored=-1001, end=5, is_new=False)
