"""What a planted bug is: a small change to the product's source, made in memory."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """`old` stands once in the source of `module`; `test` kills it where no history can."""

    name: str
    wrong: str
    module: str
    old: str
    new: str
    test: str | None = None
