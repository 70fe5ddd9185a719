"""Reads the bounds of a JSON Schema, each as one number that grows as fewer values are valid."""

from dataclasses import dataclass
from math import inf
from typing import Final

from schemas.json_object import JsonObject

Strictness = tuple[float, bool]  # an exclusive bound is stricter than an inclusive one there


@dataclass(frozen=True)
class Limit:
    """A bound in one direction: by an inclusive keyword, and for numbers an exclusive one."""

    inclusive: str
    exclusive: str | None = None
    is_upper: bool = False
    loosest: float = -inf

    @property
    def keywords(self) -> tuple[str, ...]:
        """List the keywords that it reads."""
        return (self.inclusive,) if self.exclusive is None else (self.inclusive, self.exclusive)

    def strictness(self, schema: JsonObject) -> Strictness:
        """Tell how strict the bound is; of two keywords the stricter counts."""
        sign = -1 if self.is_upper else 1
        bounds = [(sign * schema[k], k == self.exclusive) for k in self.keywords if k in schema]
        return max([(self.loosest, False), *bounds])

    def said(self, schema: JsonObject) -> str:
        """Write the bound for a sentence."""
        bounds = [f"{keyword} {schema[keyword]}" for keyword in self.keywords if keyword in schema]
        return " and ".join(bounds) or f"no {self.inclusive}"


LIMITS: Final = (
    Limit("minimum", "exclusiveMinimum"),
    Limit("maximum", "exclusiveMaximum", is_upper=True),
    Limit("minLength", loosest=0),
    Limit("maxLength", is_upper=True),
    Limit("minItems", loosest=0),
    Limit("maxItems", is_upper=True),
)
