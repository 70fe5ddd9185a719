"""The errors that the machinery raises; the text of each says what to do."""


class EnrollmentSystemError(Exception):
    """Base of every error of this project."""


class StaleBatchError(EnrollmentSystemError):
    """Another process has moved the offsets of this batch: drop it and read them again."""


class RivalRowError(EnrollmentSystemError):
    """A rival transaction has made a row that this one took for missing: run it again."""


class MemberFencedError(EnrollmentSystemError):
    """The client reads no further, mostly since the group gave its place to one of its name."""


class DeadLetterError(EnrollmentSystemError):
    """An operator asked for something that the rules of dead letters forbid."""


class LeaseLostError(EnrollmentSystemError):
    """Another relay holds the lease of this outbox: stop publishing and ask for it again."""


class NotDeliveredError(EnrollmentSystemError):
    """Kafka has not acknowledged everything yet: wait on, do not send again."""


class DeliveryFailedError(EnrollmentSystemError):
    """Kafka will never acknowledge some of it: start again from the outbox with a new producer."""


class CacheUnavailableError(EnrollmentSystemError):
    """Redis has not answered in time, or refused: go on without it."""
