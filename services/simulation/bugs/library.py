"""All planted bugs, by name."""

from collections.abc import Mapping
from typing import Final

from services.simulation.bugs.batches import BATCHES
from services.simulation.bugs.bug import Bug
from services.simulation.bugs.claims import CLAIMS
from services.simulation.bugs.delivery import DELIVERY
from services.simulation.bugs.letters import LETTERS
from services.simulation.bugs.outcomes import OUTCOMES
from services.simulation.bugs.reading import READING
from services.simulation.bugs.seats import SEATS
from services.simulation.bugs.views import VIEWS

ALL: Final = (*SEATS, *CLAIMS, *OUTCOMES, *BATCHES, *READING, *DELIVERY, *LETTERS, *VIEWS)
BUGS: Final[Mapping[str, Bug]] = {bug.name: bug for bug in ALL}
