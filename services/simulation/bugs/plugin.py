"""A pytest plugin that plants a bug before anything of the product is imported."""

import os

from services.simulation.bugs.library import BUGS
from services.simulation.bugs.planting import plant
from services.simulation.bugs.plugin_name import VARIABLE

plant(BUGS[os.environ[VARIABLE]])
