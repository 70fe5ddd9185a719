"""Measure each pair of framework and server in turn, several times, and print a table."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from tempfile import TemporaryDirectory
from typing import Final

from deploy.local import keys
from deploy.local.errors import StackError
from deploy.local.servers import local_servers
from deploy.local.tokens import issuer_with
from loadtests.frameworks.asking import prepare
from loadtests.frameworks.load import LoadError
from loadtests.frameworks.measuring import Bench, Round
from loadtests.frameworks.pairs import PAIRS, Pair, installed
from loadtests.frameworks.report import load_sentence, table
from shared.topics import create_topics

OURS: Final = ("fastapi", "starlette", "uvicorn", "httptools", "uvloop")
ATTEMPTS_MAX: Final = 20
PAUSE_SECONDS: Final = 5.0

Measured = dict[Pair, list[Round]]


def main() -> int:
    """Give 0 once all has been measured, 2 where something could not be."""
    wishes = _wishes()
    pairs, left_out = installed(PAIRS)
    for sentence in left_out:
        _say(sentence)
    try:
        with TemporaryDirectory() as name, local_servers(Path(name)) as servers:
            create_topics(servers.kafka_url)
            keys.make(Path(name))
            _say("signing tokens")
            issuer = issuer_with(keys.private_key_file(Path(name)))
            requests = prepare(wishes.warm_up + wishes.requests, issuer)
            bench = Bench(servers, Path(name), requests, wishes.warm_up, wishes.connections)
            rounds = _measure(bench, pairs, wishes)
    except (StackError, LoadError) as error:
        _say(str(error))
        return 2
    print("\n".join([*table(rounds), "", _how(wishes, pairs), load_sentence(rounds)]))
    return 0


def _wishes() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.frameworks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=6000, help="that count, in each round")
    parser.add_argument("--warm-up", type=int, default=1000, help="requests before them")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument(
        "--others-max",
        type=float,
        default=100,
        metavar="PERCENT",
        help="repeat a round in which others took more of the machine",
    )
    return parser.parse_args()


def _measure(bench: Bench, pairs: Sequence[Pair], wishes: argparse.Namespace) -> Measured:
    """Take the pairs in turn, so that what else goes on meets them all."""
    measured: Measured = {pair: [] for pair in pairs}
    for number in range(wishes.rounds):
        for place, pair in enumerate(pairs):
            one = _quiet_round(bench, pair, f"{number}-{place}", wishes.others_max)
            measured[pair].append(one)
            _say(
                f"round {number + 1}: {pair.label}: {one.per_second:,.0f}/s, {one.cpu_us:.0f} µs, "
                f"others {one.others_percent:.0f} %"
            )
    return measured


def _quiet_round(bench: Bench, pair: Pair, name: str, others_max: float) -> Round:
    """Repeat a round while others are busy; where they always are, take the quietest."""
    tried = []
    for attempt in range(ATTEMPTS_MAX):
        tried.append(bench.measure(pair, f"{name}-{attempt}"))
        if tried[-1].others_percent <= others_max:
            break
        _say(f"{pair.label}: others took {tried[-1].others_percent:.0f} %: once more")
        time.sleep(PAUSE_SECONDS)
    return min(tried, key=lambda one: one.others_percent)


def _how(wishes: argparse.Namespace, pairs: Sequence[Pair]) -> str:
    theirs = sorted({name for pair in pairs for name in pair.packages})
    versions = ", ".join(f"{name} {version(name)}" for name in (*OURS, *theirs))
    return (
        f"Medians of {wishes.rounds} rounds of {wishes.requests:,} requests over "
        f"{wishes.connections} connections; {os.cpu_count()} cores; "
        f"Python {python_version()}, {versions}."
    )


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
