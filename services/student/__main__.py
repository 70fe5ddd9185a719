"""Runs the student service: `python -m services.student`."""

import sys

from services.student.settings import StudentSettings
from services.student.wiring import build
from shared.process import load_settings, run_process

if __name__ == "__main__":
    sys.exit(run_process(build(load_settings(StudentSettings))))
