from services.cli.stack_commands import faults_of, lag_of

FINE = {"ready": True, "checks": {"database": True, "kafka": True}, "out_of_range": []}


def test_a_service_that_is_fine_has_no_faults() -> None:
    assert faults_of("student", FINE) == []


def test_failing_checks_are_named() -> None:
    service = FINE | {"checks": {"database": False, "kafka": True, "group_joined": False}}

    assert faults_of("student", service) == ["student is not ready: database, group_joined"]


def test_a_partition_out_of_range_says_what_to_do() -> None:
    [fault] = faults_of("student-2", FINE | {"out_of_range": ["enrollment.events/3"]})

    assert "has stopped reading enrollment.events/3" in fault
    assert "`enroll restart student-2`" in fault


def test_lag_is_added_up_over_the_partitions() -> None:
    assert lag_of({"lag": {"a/0": 3, "a/1": 4}}) == 7


def test_a_service_that_does_not_answer_has_no_lag() -> None:
    assert lag_of({"pid": None}) is None
