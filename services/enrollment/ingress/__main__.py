"""Runs the ingress: `python -m services.enrollment.ingress`."""

import os
import sys

from services.enrollment.ingress.legacy import warn_of_replaced
from services.enrollment.ingress.settings import IngressSettings
from services.enrollment.ingress.wiring import build
from shared.process import load_settings, run_process

if __name__ == "__main__":
    settings = load_settings(IngressSettings)
    warn_of_replaced(os.environ)
    sys.exit(run_process(build(settings)))
