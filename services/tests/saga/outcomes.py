"""Says of rows of the tables what came of a message, in the words of the guide."""

import json

from services.tests.saga.client import Row

LETTERS = 'SELECT partition, "offset", reason, holds FROM dead_letter WHERE topic = $1'


def dead_letter(row: Row) -> str:
    """Name a dead letter, which must hold nothing."""
    assert not row["holds"]
    return f"dead letter `{row['reason']}`"


def outcome(row: Row) -> str:
    """Name the state of an enrollment, and why it was rejected."""
    match row["state"]:
        case "rejected":
            codes = sorted({one["code"] for one in json.loads(row["reasons"])})
            return f"rejected at `{row['stage']}`: {', '.join(f'`{code}`' for code in codes)}"
        case "unopened":
            return "remembered"
        case state:
            return str(state)
