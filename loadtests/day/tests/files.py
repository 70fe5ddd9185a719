"""Writes sets of registration data for tests."""

from pathlib import Path

SECTIONS = (
    "section_id,course_id,capacity,credits,days,weeks,start_minute,end_minute\n"
    "1.1,1,20,3,1010000,1111,480,555\n"
    "2.1,2,5,0,,,,\n"
)
STUDENTS = "student_id,max_credits\nS1,18\nS2,9\n"


def write_set(
    folder: Path, *, sections: str = SECTIONS, students: str = STUDENTS, **more: str | None
) -> Path:
    """Write a set; `holds="…"` writes holds.csv, and `holds=None` takes it away."""
    texts = {"sections": sections, "students": students, **more}
    for name, text in texts.items():
        path = folder / f"{name}.csv"
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(text)
    return folder
