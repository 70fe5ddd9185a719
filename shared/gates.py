"""Which topics must not be read at the moment, and why; read from the consumer's thread."""

from collections.abc import Iterable


class Gates:
    """A topic is closed while anybody has a reason to keep it closed. Change from one thread."""

    def __init__(self) -> None:
        self._reasons: dict[str, frozenset[str]] = {}  # a reason, and the topics it closes

    def close(self, reason: str, topics: Iterable[str]) -> None:
        """Close topics for a reason, in place of those it closed before."""
        self._reasons = {**self._reasons, reason: frozenset(topics)}

    def open(self, reason: str) -> None:
        """Take a reason back; without effect where there is none."""
        self._reasons = {name: topics for name, topics in self._reasons.items() if name != reason}

    def is_closed_for(self, reason: str) -> bool:
        """Tell whether this reason keeps anything closed."""
        return reason in self._reasons

    def closed_topics(self) -> frozenset[str]:
        """Name every closed topic."""
        return frozenset().union(*self._reasons.values())
