"""How pytest is told to plant a bug; apart from the plugin, which plants as it is imported."""

from typing import Final

PLUGIN: Final = "services.simulation.bugs.plugin"
VARIABLE: Final = "PLANTED_BUG"
