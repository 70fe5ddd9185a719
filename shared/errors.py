"""The errors that the machinery raises; the text of each says what to do."""


class EnrollmentSystemError(Exception):
    """Base of every error of this project."""


class StaleBatchError(EnrollmentSystemError):
    """Another process has moved the offsets of this batch: drop it and read them again."""


class OffsetOutOfRangeError(EnrollmentSystemError):
    """The next offset is no longer, or not yet, in the log: an operator must decide."""


class DeadLetterError(EnrollmentSystemError):
    """An operator asked for something that the rules of dead letters forbid."""


class LeaseLostError(EnrollmentSystemError):
    """Another relay holds the lease of this outbox: stop publishing and ask for it again."""
