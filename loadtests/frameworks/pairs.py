"""Which frameworks on which servers are measured, and what of it is installed."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final


@dataclass(frozen=True)
class Pair:
    """A framework on a server, and the packages that are not part of this project."""

    framework: str
    server: str
    label: str
    packages: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Give a name for files and keys."""
        return f"{self.framework}-on-{self.server}"

    def missing(self) -> list[str]:
        """Name the packages that are not installed."""
        return [name for name in self.packages if find_spec(name) is None]


REFERENCE: Final = Pair("fastapi_raw", "uvicorn_httptools", "FastAPI, raw request, on uvicorn")
PAIRS: Final[Sequence[Pair]] = (
    Pair("fastapi_typed", "uvicorn_httptools", "FastAPI, typed body, on uvicorn"),
    REFERENCE,
    Pair("fastapi_bypassed", "uvicorn_httptools", "the same, by a route of Starlette's"),
    Pair("fastapi_raw", "uvicorn_guarded", "the same, behind our own limits"),
    Pair("fastapi_raw", "uvicorn_h11", "the same, on uvicorn with h11"),
    Pair("starlette_raw", "uvicorn_httptools", "Starlette on uvicorn"),
    Pair("litestar_raw", "uvicorn_httptools", "Litestar on uvicorn", ("litestar",)),
    Pair("blacksheep_raw", "uvicorn_httptools", "BlackSheep on uvicorn", ("blacksheep",)),
    Pair("fastapi_raw", "hypercorn_asgi", "FastAPI, raw request, on Hypercorn", ("hypercorn",)),
    Pair("fastapi_raw", "granian_asgi", "FastAPI, raw request, on Granian", ("granian",)),
    Pair("starlette_raw", "granian_asgi", "Starlette on Granian", ("granian",)),
    Pair("blacksheep_raw", "granian_asgi", "BlackSheep on Granian", ("blacksheep", "granian")),
)


def installed(pairs: Sequence[Pair]) -> tuple[list[Pair], list[str]]:
    """Give the pairs that can be measured, and a sentence for each that can not."""
    can = [pair for pair in pairs if not pair.missing()]
    left_out = [
        f"{pair.label}: left out, for {' and '.join(pair.missing())} is not installed; "
        "`make frameworks` installs it"
        for pair in pairs
        if pair not in can
    ]
    return can, left_out
