"""Compares the generated files with those in the folder, and writes them where nothing breaks."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from schemas.comparing.compatibility import breaking_changes
from schemas.event_schemas import schema_name
from schemas.files import EVENTS, EXAMPLES, event_path
from shared.choreography import TOPIC_OF
from shared.events import Event

HERE: Final = Path(__file__).parent

Files = Mapping[PurePosixPath, str]


def out_of_date(folder: Path, files: Files) -> list[str]:
    """Name each file that differs from what is generated, and say how."""
    found = [
        f"{path} {'is out of date' if (folder / path).is_file() else 'is missing'}"
        for path, text in files.items()
        if _read(folder / path) != text
    ]
    return found + [f"{path} is not generated: delete it" for path in _strangers(folder, files)]


def refusals(folder: Path, files: Files) -> list[str]:
    """Say of each published schema how its generated successor would break someone."""
    events = {schema_name(event): event for event in TOPIC_OF}
    published = sorted((folder / EVENTS).glob("*.json"))
    return [
        refusal for path in published for refusal in _refusals(path, events.get(path.name), files)
    ]


def write(folder: Path, files: Files) -> list[PurePosixPath]:
    """Write what differs, and list it. Ask for `refusals` first."""
    changed = [path for path, text in files.items() if _read(folder / path) != text]
    for path in changed:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(files[path], encoding="utf-8")
    return changed


def _refusals(path: Path, event: type[Event] | None, files: Files) -> list[str]:
    if event is None:
        return [f"{path.name}: it is published, and no topic carries it any more; keep the event"]
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return [f"{path.name}: what is published is not JSON; restore it from the history"]
    new = json.loads(files[event_path(event)])
    name = event.__name__
    advice = f"keep it as it was, or make a new version of the event, {name}.v2, beside this one"
    return [
        f"{name} {change}: {advice}"
        for change in breaking_changes(old, new, TOPIC_OF[event].writer)
    ]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _strangers(folder: Path, files: Files) -> list[PurePosixPath]:
    present = [
        PurePosixPath(path.relative_to(folder).as_posix())
        for directory in (EVENTS, EXAMPLES)
        for path in sorted((folder / directory).glob("*"))
    ]
    return [path for path in present if path not in files]
