"""Runs one seed from its plan to its verdict."""

from dataclasses import dataclass

from services.simulation.generator import new_plan
from services.simulation.narrative import Narrative, tell_nobody
from services.simulation.plan import Plan
from services.simulation.scheduler import StuckError
from services.simulation.settled import judge_settled
from services.simulation.shrinking import shrink
from services.simulation.world import World
from shared.reaction import describe_error


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a history; `digest` is the SHA-256 of everything that was written in it."""

    seed: int
    sagas: int
    violations: tuple[str, ...]
    digest: bytes


def run_seed(seed: int) -> Verdict:
    """Run the history of a seed. The same seed gives the same verdict, digest included."""
    return run_plan(new_plan(seed))


def run_plan(plan: Plan, narrative: Narrative | None = None) -> Verdict:
    """Run a plan; with a narrative, tell it as well."""
    world = World(plan, narrative.tell if narrative else tell_nobody)
    try:
        world.run()
        if not world.violations:
            world.violations.extend(judge_settled(world))
    except StuckError as error:
        world.violations.append(f"7: {error}")
    except Exception as error:  # noqa: BLE001  whatever fails here, its seed must be told
        world.violations.append(f"0: the simulation fails: {error!r}, {describe_error(error)}")
    finally:
        world.close()
    return Verdict(plan.seed, world.count_sagas(), tuple(world.violations), world.digest())


def tell_story(seed: int) -> str:
    """Shrink a failing history to what it needs to fail, and tell that as a story."""
    plan = new_plan(seed)
    wrong = _kinds(run_plan(plan))
    if not wrong:
        return f"seed {seed}: no violation"
    smallest = shrink(plan, lambda one: not wrong.isdisjoint(_kinds(run_plan(one))))
    narrative = Narrative()
    verdict = run_plan(smallest, narrative)
    what = "\n".join(f"violates {violation}" for violation in verdict.violations)
    return (
        f"seed {seed}, shrunk from {len(plan.steps)} to {len(smallest.steps)} steps\n"
        f"{narrative.text()}\n{what}"
    )


def _kinds(verdict: Verdict) -> frozenset[str]:
    """Give what kinds of violations there are: each text begins with its invariant's number."""
    return frozenset(violation.partition(":")[0] for violation in verdict.violations)
