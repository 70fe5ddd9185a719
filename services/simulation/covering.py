"""Tells which lines and branches of the rules no history reaches: `python -m` this module."""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from coverage import Coverage

# What no history can reach, and why; unit tests do.
BEYOND: Final = {
    "if reservation.student_id != event.student_id:": (
        "ends come from enrollment alone, which names the stored student; a stranger's would not"
    ),
    "if known.student_id != event.student_id:": (
        "ends come from enrollment alone, which names the stored student; a stranger's would not"
    ),
    "if known.state is not EnrollmentState.PENDING or known.deadline_at is None:": (
        "only what is overdue is loaded; this holds for other callers"
    ),
    "if now < known.deadline_at:": "only what is overdue is loaded; this holds for other callers",
}
ROOT: Final = Path(__file__).parents[2]
COVERED: Final = tuple(
    f"services/{service}/{name}.py"
    for service in ("enrollment", "student", "capacity")
    for name in ("decisions", "handlers")
)


def cover(seeds: int) -> Iterator[str]:
    """Run histories, and name what they did not reach, a line each; for a fresh process only."""
    measure = Coverage(branch=True, data_file=None, include=[str(ROOT / one) for one in COVERED])
    measure.exclude("case unreachable:")
    measure.exclude(r"class \w+\(Protocol\):")
    measure.start()
    run_seed = import_module("services.simulation.history").run_seed  # after the start
    for seed in range(seeds):
        run_seed(seed)
    measure.stop()
    needed = set()
    for path, found in _report(measure).items():
        text = (ROOT / path).read_text().splitlines()
        branches = found["missing_branches"]
        for start, end in branches:
            decides = text[start - 1].strip()
            needed.add(decides)
            if decides not in BEYOND:
                yield f"{path}:{start} never goes on to {end}: {decides}"
        ends = {end for _, end in branches}
        for line in found["missing_lines"]:
            if line not in ends:  # a line that no branch leads to follows one that is named
                yield f"{path}:{line} is not reached: {text[line - 1].strip()}"
    for line in BEYOND.keys() - needed:
        yield f"listed as out of reach, and reached or gone: {line}"


def _report(measure: Coverage) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        measure.json_report(outfile=file.name)
        files: dict[str, Any] = json.load(file)["files"]
    missing = set(COVERED) - files.keys()
    assert not missing, f"not measured: {missing}"
    return files


def main() -> int:
    """Print what is not reached; exit code 1 where there is anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    seeds = parser.parse_args().seeds
    logging.disable(logging.CRITICAL)
    lines = list(cover(seeds))
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{seeds} seeds leave out {len(lines)} lines and branches of the rules\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
