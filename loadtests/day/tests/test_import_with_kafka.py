from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.servers import LocalServers
from loadtests.day.catalogs import CatalogEntry
from loadtests.day.dataset import read_catalogs
from loadtests.day.importing import new_entries, publish
from loadtests.day.tests.files import write_set
from shared.events import SectionPublished, SectionState, StudentPublished

SECTIONS = "section_id,course_id,capacity,credits,days,weeks,start_minute,end_minute"
HOLDS = "student_id,code\n"
WINDOWS = "student_id,opens_at,closes_at\n"


class Catalog:
    """Imports sets about one section and one student of its own, and reads them back."""

    def __init__(self, kafka_url: str, folder: Path) -> None:
        self.kafka_url, self.folder = kafka_url, folder
        self.name = f"day-{uuid4().hex[:8]}"
        write_set(
            folder,
            sections=f"{SECTIONS}\n1.1,1,20,3,,,,\n",
            students=f"student_id,max_credits\n{self.name},18\n",
        )

    def imports(self, **texts: str | None) -> list[CatalogEntry]:
        """Write these files, import the set, and give what was published."""
        for name, text in texts.items():
            path = self.folder / f"{name}.csv"
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        dataset, _ = read_catalogs(self.folder, term=self.name)
        sections, students = new_entries(self.kafka_url, [dataset])
        publish(self.kafka_url, [*sections, *students])
        return [*sections, *students]


@pytest.fixture
def catalog(servers: LocalServers, tmp_path: Path) -> Catalog:
    return Catalog(servers.kafka_url, tmp_path)


def test_an_absent_file_leaves_what_the_topic_says(catalog: Catalog) -> None:
    catalog.imports(holds=f"{HOLDS}{catalog.name},debt\n")

    unchanged = catalog.imports(holds=None)
    (student,) = catalog.imports(students=f"student_id,max_credits\n{catalog.name},9\n")

    assert unchanged == []
    assert isinstance(student, StudentPublished)
    assert (student.version, student.max_credits) == (2, 9)
    assert [hold.code for hold in student.holds] == ["debt"]


def test_a_file_of_only_a_header_clears_its_field(catalog: Catalog) -> None:
    catalog.imports(
        holds=f"{HOLDS}{catalog.name},debt\n",
        completed_courses=f"student_id,course_id\n{catalog.name},MATH1\n",
    )

    (student,) = catalog.imports(holds=HOLDS, completed_courses=None)

    assert isinstance(student, StudentPublished)
    assert (student.version, student.holds) == (2, ())
    assert student.completed_courses == ("MATH1",)


def test_an_absent_column_leaves_what_the_topic_says_and_an_empty_cell_clears_it(
    catalog: Catalog,
) -> None:
    row = "1.1,1,20,3,,,,"
    catalog.imports(sections=f"{SECTIONS},state,prerequisites\n{row},cancelled,MATH1|MATH2\n")

    (section,) = catalog.imports(sections=f"{SECTIONS},prerequisites\n{row},\n")

    assert isinstance(section, SectionPublished)
    assert (section.version, section.state) == (2, SectionState.CANCELLED)
    assert section.prerequisites == ()


def test_the_same_files_again_publish_nothing(catalog: Catalog) -> None:
    files = {
        "holds": f"{HOLDS}{catalog.name},debt\n{catalog.name},advising\n",
        "windows": f"{WINDOWS}{catalog.name},2031-01-01T01:00+01:00,2031-02-01T00:00Z\n",
    }
    catalog.imports(**files)

    assert catalog.imports(**files) == []
