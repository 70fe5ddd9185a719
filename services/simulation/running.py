"""Runs many seeds on all cores, and adds up what they came to."""

import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Final

from services.simulation.history import Verdict, run_seed

CHUNK: Final = 40
GARBAGE_SEEDS: Final = 4  # whose garbage still fits the processor's cache
VIOLATIONS_MAX: Final = 20  # seeds; then enough is known

OnProgress = Callable[["Progress"], None]


@dataclass(slots=True)
class Progress:
    """What has been run so far; `failed` has the verdicts with violations."""

    seeds: int = 0
    sagas: int = 0
    seconds: float = 0.0
    failed: list[Verdict] = field(default_factory=list)

    @property
    def sagas_per_second(self) -> float:
        """Give the rate so far."""
        return self.sagas / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive seeds that one process has run."""

    first: int
    seeds: int
    sagas: int
    digest: bytes
    failed: tuple[Verdict, ...]


def run_all(
    first: int, count: int, *, seconds_max: float, processes: int, on_progress: OnProgress
) -> tuple[Progress, str]:
    """Run `count` seeds from `first` on, or as many as there is time for, on several processes.

    Returns the sum, and one SHA-256 over the histories, in the order of the seeds: the same
    seeds give the same one, however many processes there are.
    """
    progress, digests = Progress(), {}
    began = time.monotonic()
    for chunk in _chunks(first, count, began + seconds_max, processes):
        progress.seeds += chunk.seeds
        progress.sagas += chunk.sagas
        progress.seconds = time.monotonic() - began
        progress.failed += chunk.failed
        digests[chunk.first] = chunk.digest
        on_progress(progress)
        if len(progress.failed) >= VIOLATIONS_MAX:
            break
    joined = b"".join(digests[start] for start in sorted(digests))
    return progress, sha256(joined).hexdigest()


def _chunks(first: int, count: int, until: float, processes: int) -> Iterator[Chunk]:
    """Keep every process at work; once the time is over, only what is at work is waited for."""
    starts = iter(range(first, first + count, CHUNK))
    end = first + count
    context = get_context("forkserver")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=calm) as pool:
        running: set[Future[Chunk]] = set()
        try:
            while True:
                if time.monotonic() < until:
                    for start in islice(starts, 2 * processes - len(running)):
                        running.add(pool.submit(run_chunk, start, min(CHUNK, end - start)))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def calm() -> None:
    """Log nothing of simulated faults, and look for garbage between the histories alone."""
    logging.disable(logging.CRITICAL)
    gc.freeze()
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever began the run sees to it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker of a pool does not notice that whoever made it was killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def run_chunk(first: int, count: int) -> Chunk:
    """Run consecutive seeds in this process."""
    verdicts = []
    for seed in range(first, first + count):
        verdicts.append(run_seed(seed))
        if len(verdicts) % GARBAGE_SEEDS == 0:
            gc.collect()
    digest = sha256(b"".join(verdict.digest for verdict in verdicts)).digest()
    failed = tuple(verdict for verdict in verdicts if verdict.violations)
    return Chunk(first, count, sum(verdict.sagas for verdict in verdicts), digest, failed)


def cores() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0))
