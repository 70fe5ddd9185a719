"""The one error that the local stack raises for an operator to read."""

from pathlib import Path

TAIL_LINES = 20
TAIL_BYTES = 16_384


class StackError(Exception):
    """Its text is a sentence for an operator, with the end of the log that matters."""


def with_log(sentence: str, log: Path) -> StackError:
    return StackError(f"{sentence} {log} ends with:\n{tail(log)}")


def tail(log: Path) -> str:
    if not log.exists():
        return "(nothing: the file does not exist)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])
