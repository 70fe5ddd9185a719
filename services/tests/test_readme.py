"""The README shows the choreography as the code has it."""

from pathlib import Path

from schemas.picture import mermaid, table

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_has_the_picture_of_the_choreography() -> None:
    text = README.read_text()

    assert mermaid() in text, "put this into README.md:\n" + mermaid()


def test_the_readme_has_the_table_of_the_choreography() -> None:
    text = README.read_text()

    assert table() in text, "put this into README.md:\n" + table()
