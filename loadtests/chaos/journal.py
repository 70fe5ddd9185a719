"""The journal of a run: every fault with its time, a line of JSON each, so that it can be read."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any, TextIO

from loadtests.chaos.client_log import Log


def journal_file(state_dir: Path) -> Path:
    """Where the journal of the last run is; a directory with one is ours to wipe."""
    return state_dir / "chaos.jsonl"


def client_file(state_dir: Path) -> Path:
    """Where the client's log of the last run is."""
    return state_dir / "client.jsonl"


class Journal:
    """Writes each line at once; not for use from several threads."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def note(self, what: str, **more: Any) -> None:
        """Write a line, with the time in seconds since 1970."""
        line = json.dumps({"at": round(time(), 3), "what": what, **more}, default=str)
        self._file.write(f"{line}\n")
        self._file.flush()


@contextmanager
def opened_journal(state_dir: Path) -> Iterator[Journal]:
    """Begin the journal anew."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with journal_file(state_dir).open("w") as file:
        yield Journal(file)


def write_client_log(state_dir: Path, log: Log) -> None:
    """Write what the client sent, what was acknowledged, and what it heard."""
    with client_file(state_dir).open("w") as file:
        for line in log.sent:
            name = str(line.message.enrollment_id)
            entry = {
                "enrollment_id": name,
                "asks": line.message.asks,
                "student_id": line.message.student_id,
                "sections": line.message.sections,
                "sent_at": line.sent_at,
                "acknowledged_at": line.acknowledged_at,
                "place": line.place,
                "error": line.error,
                "decided_at": log.decided_at.get(name),
                "heard": log.heard.get(name),
            }
            file.write(f"{json.dumps(entry)}\n")
