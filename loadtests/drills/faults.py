"""Faults of processes and links, each for as long as a block runs; and how one comes in turn."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from threading import Event
from typing import Final

from deploy.local import stack
from deploy.local.errors import StackError
from loadtests.chaos.plan import Fault, Kind
from loadtests.chaos.proxy import Trouble
from loadtests.drills.collector import LINK
from loadtests.drills.scene import Scene

END_SECONDS: Final = 60.0

Block = AbstractContextManager[None]


@contextmanager
def inflicted(scene: Scene, kind: Kind, target: str) -> Iterator[None]:
    """Inflict what storms inflict on a process or a link."""
    fault, token = Fault(0.0, kind, target, 0.0), next(scene.tokens)
    if not scene.inflicter.begin(token, fault):
        raise StackError(f"{target} does not run, so nothing can be done to it")
    try:
        yield
    finally:
        scene.inflicter.end(token, fault)


@contextmanager
def held(scene: Scene, name: str) -> Iterator[None]:
    """Keep a process down; it has ended when the block begins."""
    stack.stop_one(scene.ground.state_dir, name)
    try:
        yield
    finally:
        scene.inflicter.release(name)


@contextmanager
def without_collector(scene: Scene) -> Iterator[None]:
    """Cut the way to the collector of spans."""
    token, proxy = next(scene.tokens), scene.collector.proxy
    proxy.inflict(LINK, token, Trouble.CUT)
    try:
        yield
    finally:
        proxy.lift(LINK, token)


@contextmanager
def meanwhile(work: Callable[[Event], None]) -> Iterator[None]:
    """Have a thread work until it is told to stop, and raise what it raised."""
    stopping = Event()
    with ThreadPoolExecutor(1, thread_name_prefix="drill") as pool:
        working = pool.submit(work, stopping)
        try:
            yield
        finally:
            stopping.set()
        working.result(END_SECONDS)


def in_turn(fault: Callable[[], Block], on_seconds: float, off_seconds: float) -> Block:
    """Have a fault come and go, again and again."""

    def work(stopping: Event) -> None:
        while not stopping.is_set():
            with fault():
                stopping.wait(on_seconds)
            stopping.wait(off_seconds)

    return meanwhile(work)
