"""The plan of a storm."""

from collections import Counter

from loadtests.chaos.plan import SERVERS, Kind, plan_storm

SERVICES = ["enrollment", "enrollment-2", "student", "student-2", "capacity", "capacity-2"]
INGRESSES = ["ingress", "ingress-2"]
PROCESSES = [*SERVICES, *INGRESSES]
LINKS = [
    *(f"{process}>{server}" for process in PROCESSES for server in ("kafka", "postgres")),
    *(f"{ingress}>redis" for ingress in INGRESSES),
]
FIVE_MINUTES = 300.0


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    first = plan_storm(7, FIVE_MINUTES, PROCESSES, LINKS)
    again = plan_storm(7, FIVE_MINUTES, PROCESSES, LINKS)
    other = plan_storm(8, FIVE_MINUTES, PROCESSES, LINKS)

    assert first == again
    assert first != other


def test_five_minutes_have_more_than_sixty_kills_spread_over_all_processes_and_servers() -> None:
    plan = plan_storm(7, FIVE_MINUTES, PROCESSES, LINKS)
    kills = Counter(fault.target for fault in plan if fault.kind is Kind.KILL)

    assert kills.total() >= 95
    assert set(kills) == {*PROCESSES, *SERVERS}
    assert max(kills.values()) - min(kills.values()) <= 1


def test_every_kind_of_fault_comes_to_every_target_it_can_have() -> None:
    plan = plan_storm(7, FIVE_MINUTES, PROCESSES, LINKS)
    targets = {kind: {fault.target for fault in plan if fault.kind is kind} for kind in Kind}

    assert targets[Kind.STOP] == {*PROCESSES, *SERVERS}
    assert targets[Kind.LEAVE] == {"enrollment-2", "student-2", "capacity-2", "ingress-2"}
    assert targets[Kind.FLUSH] == {"redis"}
    assert targets[Kind.CUT] == targets[Kind.STALL] == targets[Kind.MUTE] == set(LINKS)


def test_all_faults_lie_within_the_time_of_the_storm() -> None:
    for seed in range(20):
        plan = plan_storm(seed, 30.0, PROCESSES, LINKS)

        assert plan == sorted(plan)
        assert all(0 <= fault.at_seconds <= 30 for fault in plan)
        assert all(fault.at_seconds + fault.duration_seconds <= 30 for fault in plan)


def test_many_a_process_is_killed_while_one_of_its_links_has_no_answers() -> None:
    plan = plan_storm(7, FIVE_MINUTES, PROCESSES, LINKS)
    kills = [fault for fault in plan if fault.kind is Kind.KILL and fault.target in PROCESSES]
    troubles = [fault for fault in plan if fault.kind in {Kind.STALL, Kind.MUTE}]
    at_their_worst = [
        kill
        for kill in kills
        if any(
            trouble.target.startswith(f"{kill.target}>")
            and trouble.at_seconds <= kill.at_seconds
            and kill.at_seconds <= trouble.at_seconds + trouble.duration_seconds
            for trouble in troubles
        )
    ]

    assert len(at_their_worst) > len(kills) / 3
