"""The auditor: whether a day kept its promises, by its own reading of topics and tables."""

from loadtests.auditor.auditing import audit
from loadtests.auditor.report import Invariant, Report, Violation

__all__ = ["Invariant", "Report", "Violation", "audit"]
