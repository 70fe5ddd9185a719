"""Measure each pair of framework and server in turn, many times, and print a table."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
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
from loadtests.frameworks.measuring import Bench, Round, Server
from loadtests.frameworks.pairs import PAIRS, Pair, installed
from loadtests.frameworks.report import NeverQuietError, load_sentence, quiet, table
from shared.topics import create_topics

OURS: Final = ("fastapi", "starlette", "uvicorn", "httptools", "uvloop")

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
            rounds = _measure(Bench(servers, Path(name), wishes.connections), pairs, wishes)
        kept = quiet(rounds, wishes.others_max)
    except (StackError, LoadError, NeverQuietError) as error:
        _say(str(error))
        return 2
    print("\n".join([*table(rounds, kept), "", _how(wishes, pairs), load_sentence(kept)]))
    return 0


def _wishes() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.frameworks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=1000, help="that count, in each round")
    parser.add_argument("--warm-up", type=int, default=200, help="requests before them")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument(
        "--others-max",
        type=float,
        default=100,
        metavar="PERCENT",
        help="leave out rounds in which others took more of the machine",
    )
    return parser.parse_args()


def _measure(bench: Bench, pairs: Sequence[Pair], wishes: argparse.Namespace) -> Measured:
    """Take the pairs in turn, so that what else goes on meets them all."""
    a_round = wishes.warm_up + wishes.requests
    requests = _prepare(bench.directory, wishes.rounds * a_round)
    measured: Measured = {pair: [] for pair in pairs}
    with ExitStack() as stack:
        running = [stack.enter_context(bench.running(pair)) for pair in pairs]
        for first in range(0, len(requests), a_round):
            part = requests[first : first + a_round]
            for server in running:
                one = server.measure(part[: wishes.warm_up], part[wishes.warm_up :])
                measured[server.pair].append(one)
                bench.forget(server.pair, a_round)
                _tell(server, one, len(measured[server.pair]))
    return measured


def _prepare(directory: Path, count: int) -> list[bytes]:
    _say("signing tokens")
    keys.make(directory)
    return prepare(count, issuer_with(keys.private_key_file(directory)))


def _tell(server: Server, one: Round, number: int) -> None:
    _say(
        f"round {number}: {server.pair.label}: {one.per_second:,.0f}/s, {one.cpu_us:.0f} µs, "
        f"p50 {one.p50_ms:.1f} ms, p99 {one.p99_ms:.1f} ms, others {one.others_percent:.0f} %, "
        f"load average {one.load_average:.1f}"
    )


def _how(wishes: argparse.Namespace, pairs: Sequence[Pair]) -> str:
    theirs = sorted({name for pair in pairs for name in pair.packages})
    versions = ", ".join(f"{name} {version(name)}" for name in (*OURS, *theirs))
    return (
        f"Medians of {wishes.rounds} rounds of {wishes.requests:,} requests over "
        f"{wishes.connections} connections, all but the first column of those in which others took "
        f"at most {wishes.others_max:.0f} % of the machine; "
        f"{os.cpu_count()} cores; Python {python_version()}, {versions}."
    )


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
