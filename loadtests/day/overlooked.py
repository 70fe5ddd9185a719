"""Says which files and columns of a set an import does not read, since a name may be misspelt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from loadtests.day.catalog_files import (
    OPTIONAL_COLUMNS,
    SECTION_COLUMNS,
    SECTIONS_FILE,
    STUDENT_COLUMNS,
    STUDENTS_FILE,
)
from loadtests.day.csv_files import header_of
from loadtests.day.student_files import STUDENT_FILES

READ: Final = {
    SECTIONS_FILE: (*SECTION_COLUMNS, *OPTIONAL_COLUMNS),
    STUDENTS_FILE: STUDENT_COLUMNS,
    **{file.name: file.columns for file in STUDENT_FILES},
}


def overlooked(folder: Path) -> Iterator[str]:
    """Name the CSV files, and the columns of those that are read, which nothing is taken from."""
    for path in sorted(folder.glob("*.csv")):
        columns = READ.get(path.name)
        if columns is None:
            yield f"{path.name} is not read: it is none of {', '.join(READ)}"
            continue
        for column in header_of(path):
            if column not in columns:
                yield f"{path.name}: the column {column} is not read"
