"""Runs the ingress: `python -m services.enrollment.ingress`."""

import sys

from services.enrollment.ingress.settings import IngressSettings
from services.enrollment.ingress.wiring import build
from shared.process import load_settings, run_process

if __name__ == "__main__":
    sys.exit(run_process(build(load_settings(IngressSettings))))
