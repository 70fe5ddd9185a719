"""Reads JMeter's own results, the CSV file that it calls JTL."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

COLUMNS: Final = ("timeStamp", "elapsed", "label", "responseCode", "threadName", "success")
REFUSED: Final = ("429", "503")
TIMED_OUT: Final = "timed_out"
OF_THE_SAMPLER: Final = (
    TIMED_OUT,
    "unacknowledged",
    "too_many_open",
    "no_kafka",
    "reading_failed",
)
GROUP_END: Final = " "  # JMeter names its threads `<group> <group's number>-<thread's number>`


class JtlError(Exception):
    """A file is no JTL, or is cut off; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line; times are milliseconds, `began_ms` since 1970."""

    began_ms: int
    elapsed_ms: int
    label: str
    code: str
    group: str
    is_good: bool
    failure: str  # of an assertion
    message: str  # of the sampler
    threads: int  # that ran when it ended, in all groups

    @property
    def ended_ms(self) -> int:
        """Tell when it was over."""
        return self.began_ms + self.elapsed_ms

    @property
    def is_refusal(self) -> bool:
        """Tell whether it is one that the plan takes for the system's word: come again later."""
        return self.is_good and self.code in REFUSED

    @property
    def is_unavailable(self) -> bool:
        """Tell whether the system had no answer: none at all, too late, refused, or its defect."""
        no_answer = self.code in {"", *REFUSED, *OF_THE_SAMPLER}
        return no_answer or self.code.startswith(("5", "Non HTTP"))


def read_jtl(path: Path) -> list[Sample]:
    """Read a whole file; raises JtlError where it is none, or has no line."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            samples = list(samples_of(csv.DictReader(file)))
    except OSError as error:
        raise JtlError(f"{path} cannot be read ({error.strerror}): see jmeter.log") from error
    except ValueError as error:
        raise JtlError(f"{path}: {error}") from error
    if not samples:
        raise JtlError(f"{path} has no sample: see jmeter.log beside it")
    return samples


def samples_of(rows: Iterable[Mapping[str, str | None]]) -> Iterator[Sample]:
    """Read rows; raises ValueError with the number of a bad line."""
    for number, row in enumerate(rows, start=2):
        if any(row.get(name) is None for name in COLUMNS):
            raise ValueError(
                f"line {number} lacks one of {', '.join(COLUMNS)}: have JMeter write CSV with a "
                "header, as it does by default, and let it end by itself"
            )
        try:
            yield _sample({name: value or "" for name, value in row.items() if name})
        except ValueError as error:
            raise ValueError(
                f"line {number} is bad ({error}): play the plan again, with times in milliseconds "
                "(jmeter.save.saveservice.timestamp_format=ms)"
            ) from None


def _sample(row: Mapping[str, str]) -> Sample:
    return Sample(
        began_ms=int(row["timeStamp"]),
        elapsed_ms=int(row["elapsed"]),
        label=row["label"],
        code=row["responseCode"],
        group=row["threadName"].rpartition(GROUP_END)[0],
        is_good=row["success"] == "true",
        failure=row.get("failureMessage", ""),
        message=row.get("responseMessage", ""),
        threads=int(row.get("allThreads") or 0),
    )
