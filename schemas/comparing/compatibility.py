"""Says which changes of a published schema break those who write the event or read it."""

from typing import Final, assert_never

from schemas.comparing.comparison import compare
from schemas.comparing.flattening import CannotCompareError, flattened
from schemas.comparing.keywords import Change, Effect
from schemas.comparing.wording import same
from schemas.json_object import JsonObject
from shared.choreography import Service

# Writers outside go on writing as before: what was valid must stay valid, and be heard.
_BREAKS_WRITERS: Final = frozenset({Effect.NARROWED, Effect.ALTERED})
# New readers read the old events of the topic, and old readers outside read new events.
_BREAKS_READERS: Final = frozenset(Effect)


def breaking_changes(old: JsonObject, new: JsonObject, writer: Service | None) -> list[str]:
    """List what breaks, each as a sentence that begins with its path; `writer` None is outside.

    What it does not understand is listed too, as what cannot be compared.
    """
    if same(old, new):
        return []
    breaking = _BREAKS_WRITERS if writer is None else _BREAKS_READERS
    try:
        changes = list(compare(flattened(old), flattened(new)))
    except CannotCompareError as error:
        return [f"$: cannot be compared: {error}"]
    return [_sentence(change) for change in changes if change.effect in breaking]


def _sentence(change: Change) -> str:
    return f"{change.path}: {change.what}{_consequence(change.effect)}"


def _consequence(effect: Effect) -> str:
    match effect:
        case Effect.NARROWED:
            return "; what was valid may be refused"
        case Effect.WIDENED:
            return "; those who read it may meet what they do not know"
        case Effect.ALTERED:
            return ""
        case _:
            assert_never(effect)
