"""The processes of the system: each is asked, and those that do not answer are named."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar

import aiohttp
from pydantic import BaseModel, TypeAdapter, ValidationError

from services.enrollment.ingress.freshness import Shared
from services.enrollment.ingress.peer_addresses import LookUp, PeerAddresses, look_up
from shared.breaker import BreakerState

LOGGER: Final = logging.getLogger(__name__)
ANSWER_SECONDS: Final = 0.3
AT_ONCE_MAX: Final = 16  # processes that are asked at a time

Answer = TypeVar("Answer")


class Waiting(BaseModel):
    """What waits in a service's database."""

    outbox_depth: int
    outbox_oldest_seconds: float
    dead_letters: int


class Health(BaseModel):
    """How a process is, as it says itself."""

    service: str
    instance: str
    ready: bool
    checks: dict[str, bool]
    waiting: Waiting | None = None  # None: it does not know now

    @property
    def name(self) -> str:
        """Name the process, as no other is."""
        return f"{self.service}/{self.instance}"


class BreakerReport(BaseModel):
    """How one breaker is."""

    state: BreakerState
    failure_count: int
    success_count: int
    consecutive_failures: int


BREAKERS: Final = TypeAdapter(dict[str, BreakerReport])


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What is known of a process; one that does not answer has its address for a name."""

    name: str
    health: Health | None = None
    breakers: Mapping[str, BreakerReport] = field(default_factory=dict)


class OwnAdmin(Protocol):
    """The admin server of this process, which is asked without a detour."""

    def health(self) -> dict[str, Any]:
        """Tell how it is."""

    def breakers(self) -> dict[str, dict[str, Any]]:
        """Show every breaker."""

    def reset(self, name: str) -> dict[str, dict[str, Any]]:
        """Reset the breakers of a dependency, and show them; none where it has none."""


class Peers:
    """All processes that the settings name, and this one."""

    def __init__(
        self,
        admin_peers: str,
        own: OwnAdmin,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        look_up: LookUp = look_up,
    ) -> None:
        self._addresses = PeerAddresses(admin_peers, look_up, answer_seconds)
        self._own = own
        self._answer_seconds = answer_seconds
        self._turn = asyncio.Semaphore(AT_ONCE_MAX)
        self._statuses = Shared(self._ask_all)

    async def statuses(self) -> list[PeerStatus]:
        """Ask all of them how they are; each is listed once, by name.

        However many clients want to know, the processes are asked once for all who wait.
        """
        return await self._statuses.answer()

    async def _ask_all(self) -> list[PeerStatus]:
        answers = await self._ask(_status)
        found = [answer or PeerStatus(address) for address, answer in answers.items()]
        return sorted(
            {one.name: one for one in (*found, self._own_status())}.values(),
            key=lambda one: one.name,
        )

    def _own_status(self) -> PeerStatus:
        health = Health.model_validate(self._own.health())
        return PeerStatus(health.name, health, BREAKERS.validate_python(self._own.breakers()))

    async def reset_breaker(self, name: str) -> dict[str, bool]:
        """Have all that have breakers of a dependency reset them, and tell which have answered."""
        answers = await self._ask(partial(_reset, name=name))
        done = {address: False for address, answer in answers.items() if answer is None}
        for answer in answers.values():
            if answer is not None and answer.has_breaker:
                done[answer.process] = True
        if self._own.reset(name):
            done[Health.model_validate(self._own.health()).name] = True
        return dict(sorted(done.items()))

    async def _ask(
        self, ask: Callable[[aiohttp.ClientSession, str], Awaitable[Answer]]
    ) -> dict[str, Answer | None]:
        """Ask at each address; None where there is no answer in time, or none that makes sense."""
        found, missing = await self._addresses.find()
        async with aiohttp.ClientSession() as session:

            async def in_turn(address: str) -> Answer | None:
                async with self._turn:
                    return await self._answer(ask, session, address)

            answers = await asyncio.gather(*map(in_turn, found))
        return dict.fromkeys(missing) | dict(zip(found, answers, strict=True))

    async def _answer(
        self,
        ask: Callable[[aiohttp.ClientSession, str], Awaitable[Answer]],
        session: aiohttp.ClientSession,
        address: str,
    ) -> Answer | None:
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await ask(session, address)
        except (aiohttp.ClientError, OSError, TimeoutError, ValidationError) as error:
            LOGGER.info("%s does not answer: %r", address, error)
            return None


@dataclass(frozen=True, slots=True)
class _Reset:
    process: str
    has_breaker: bool


async def _status(session: aiohttp.ClientSession, address: str) -> PeerStatus:
    health = await _health(session, address)
    async with session.get(f"{address}/breakers", allow_redirects=False) as answer:
        return PeerStatus(health.name, health, BREAKERS.validate_json(await answer.read()))


async def _reset(session: aiohttp.ClientSession, address: str, *, name: str) -> _Reset:
    """Reset first, and then ask for the name."""
    async with session.post(f"{address}/breakers/{name}/reset", allow_redirects=False) as answer:
        has_breaker = answer.status != HTTPStatus.NOT_FOUND
        if has_breaker:
            answer.raise_for_status()
    return _Reset((await _health(session, address)).name, has_breaker)


async def _health(session: aiohttp.ClientSession, address: str) -> Health:
    """Ask how a process is: also one that is not ready answers that."""
    async with session.get(f"{address}/health/ready", allow_redirects=False) as answer:
        return Health.model_validate_json(await answer.read())
