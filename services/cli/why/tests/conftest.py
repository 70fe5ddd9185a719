"""One real stack for all situations; its links can be cut, and enrollment's clock be set wrong."""

from collections.abc import Iterator

import pytest

from deploy.local import services, stack
from deploy.local.servers import VARIABLES
from loadtests.chaos.playground import playground
from services.cli.why.tests import shifted_enrollment
from services.cli.why.tests.night import ENVIRONMENT, Night, plan_with_shifted_clock, say_nothing
from services.tests.saga.client import Saga


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """The stack; its servers are stopped at the end, whatever state it is in."""
    state_dir, clock_file = tmp_path_factory.mktemp("why"), tmp_path_factory.mktemp("clock") / "now"
    with pytest.MonkeyPatch.context() as patch:
        for variable in VARIABLES.values():
            patch.delenv(variable, raising=False)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("ENROLL_STATE_DIR", str(state_dir))
        patch.setenv(shifted_enrollment.VARIABLE, str(clock_file))
        patch.setattr(services, "plan", plan_with_shifted_clock)
        try:
            with playground(state_dir, services.USUAL, quick_start=True, say=say_nothing) as ground:
                saga = Saga(state_dir)
                try:
                    yield Night(saga, ground, clock_file)
                finally:
                    saga.close()
        finally:
            stack.down(state_dir, wipe=True)
