"""Where the processes' admin servers are: a host of several addresses stands for each of them."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final
from urllib.parse import SplitResult, urlsplit

LOGGER: Final = logging.getLogger(__name__)
HTTP_PORT: Final = 80

LookUp = Callable[[str, int], Awaitable[list[str]]]


def read_peers(admin_peers: str) -> list[SplitResult]:
    """Read the addresses of admin servers, or raise ValueError with a sentence."""
    return [_read_peer(one.strip()) for one in admin_peers.split(",") if one.strip()]


def _read_peer(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        is_right = bool(url.hostname) and url.port != 0
    except ValueError:
        is_right = False
    if not is_right or url.scheme != "http" or url.path not in {"", "/"} or "@" in url.netloc:
        raise ValueError("name admin servers as http://HOST:PORT, with commas between them")
    return url


async def look_up(host: str, port: int) -> list[str]:
    """Give all addresses of a host; of a host with both kinds, those of IPv4."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    of_ipv4 = [one for one in found if one[0] == socket.AF_INET]
    return sorted({str(address[0]) for *_, address in of_ipv4 or found})


class PeerAddresses:
    """Looks hosts up each time, for processes come and go; of an old answer the best is made."""

    def __init__(self, admin_peers: str, look_up: LookUp, seconds: float) -> None:
        self._urls = read_peers(admin_peers)
        self._look_up = look_up
        self._seconds = seconds
        self._lookups: dict[SplitResult, asyncio.Future[list[str]]] = {}
        self._known: dict[SplitResult, list[str]] = {}

    async def find(self) -> tuple[list[str], list[str]]:
        """Give the addresses, and those hosts that have never been found."""
        await asyncio.gather(*map(self._refresh, self._urls))
        found = (one for url in self._urls for one in self._known.get(url, ()))
        missing = [url.geturl() for url in self._urls if url not in self._known]
        return list(dict.fromkeys(found)), missing

    async def _refresh(self, url: SplitResult) -> None:
        """Wait a moment for an answer; a resolver that hangs has one question of ours, not many."""
        lookup = self._lookups.get(url)
        if lookup is None or lookup.done():
            lookup = asyncio.ensure_future(self._look_up(url.hostname or "", _port(url)))
            lookup.add_done_callback(partial(self._keep, url))
            self._lookups[url] = lookup
        await asyncio.wait([lookup], timeout=self._seconds)

    def _keep(self, url: SplitResult, lookup: "asyncio.Future[list[str]]") -> None:
        if lookup.cancelled():
            return
        error = lookup.exception()
        if error is None:
            self._known[url] = [_with_host(url, address) for address in lookup.result()]
        else:
            LOGGER.info("%s is not found: %r", url.netloc, error)


def _port(url: SplitResult) -> int:
    return url.port or HTTP_PORT


def _with_host(url: SplitResult, address: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{_port(url)}"
