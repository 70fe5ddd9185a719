"""What the student service reads from its environment."""

from shared.settings import ServiceSettings


class StudentSettings(ServiceSettings):
    """The settings of every service: this one needs no more."""
