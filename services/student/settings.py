"""What the student service reads from its environment."""

from typing import ClassVar

from shared.settings import ServiceSettings


class StudentSettings(ServiceSettings):
    """The settings of every service: this one needs no more."""

    service: ClassVar[str] = "student"
