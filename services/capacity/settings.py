"""What the capacity service reads from its environment."""

from typing import ClassVar

from shared.settings import ServiceSettings


class CapacitySettings(ServiceSettings):
    """The settings of every service: this one needs no more."""

    service: ClassVar[str] = "capacity"
