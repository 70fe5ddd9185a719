"""At rest: does the ingress show what the topics say of everything that it accepted?"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Final

import aiohttp

from loadtests.auditor.contract import CANCELLED, CONFIRMED, REJECTED
from loadtests.auditor.history import History
from loadtests.chaos.by_http.asks import Act
from loadtests.chaos.by_http.log import HttpLog
from loadtests.chaos.judging import OUTCOMES

SHOWN_AS: Final = {CONFIRMED: "confirmed", REJECTED: "rejected", CANCELLED: "cancelled"}
AT_ONCE: Final = 16
LOOK_SECONDS: Final = 5.0
CATCH_UP_SECONDS: Final = 30.0
LOOK_AGAIN_SECONDS: Final = 0.5

Sign = Callable[[str], str]


async def wrongly_shown(
    urls: Sequence[str],
    log: HttpLog,
    history: History,
    sign: Sign,
    *,
    catch_up_seconds: float = CATCH_UP_SECONDS,
) -> list[str]:
    """Say which enrollments are shown otherwise than they ended, once the view may catch up."""
    last = {one.enrollment_id: one.type for one in history.events if one.type in OUTCOMES}
    owners = {str(one.answer.enrollment_id): one.ask.student_id for one in log.accepted(Act.ENROLL)}
    wrong = {name: "nothing yet" for name in owners if name in last}
    until = monotonic() + catch_up_seconds
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LOOK_SECONDS)) as session:
        looker = _Looker(session, urls, owners, sign)
        while wrong and monotonic() < until:
            found = await looker.look(list(wrong))
            wrong = {name: said for name, said in found.items() if said != SHOWN_AS[last[name]]}
            if wrong:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
    return [
        f"enrollment {name}: it ended with {last[name]}, and the ingress shows {said}"
        for name, said in sorted(wrong.items())
    ]


class _Looker:
    """Reads enrollments as their students, from each ingress in turn."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        urls: Sequence[str],
        owners: Mapping[str, str],
        sign: Sign,
    ) -> None:
        self._session = session
        self._urls = urls
        self._owners = owners
        self._tokens = {student: sign(student) for student in set(owners.values())}
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def look(self, names: Sequence[str]) -> dict[str, str]:
        """Give what is shown of each."""
        shown = await asyncio.gather(*(self._one(n, name) for n, name in enumerate(names)))
        return dict(zip(names, shown, strict=True))

    async def _one(self, number: int, name: str) -> str:
        url = f"{self._urls[number % len(self._urls)]}/enrollments/{name}"
        headers = {"Authorization": f"Bearer {self._tokens[self._owners[name]]}"}
        try:
            async with self._turn, self._session.get(url, headers=headers) as response:
                if response.status != 200:
                    return f"answer {response.status}"
                return str((await response.json())["status"])
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
