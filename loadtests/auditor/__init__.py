"""The auditor: whether a day kept its promises, by its own reading of topics and tables."""

from loadtests.auditor.auditing import audit, audit_dump
from loadtests.auditor.dumps import DumpError, dump
from loadtests.auditor.report import Invariant, Report, Violation

__all__ = ["DumpError", "Invariant", "Report", "Violation", "audit", "audit_dump", "dump"]
