"""What the enrollment service reads from its environment."""

from typing import ClassVar

from pydantic import Field

from services.enrollment.model import DeadlinePolicy
from shared.settings import ServiceSettings


class EnrollmentSettings(ServiceSettings):
    """The settings of every service, and those of deadlines and of the intake."""

    service: ClassVar[str] = "enrollment"

    batch_interval_seconds_max: float = Field(
        default=0.035,
        ge=0,
        le=1,
        description="seconds between the beginnings of batches under load",
    )  # requests come one by one; the services behind get bursts, one for each of these batches
    deadline_default_seconds: float = Field(
        default=30, gt=0, description="seconds to a request's deadline where it names none"
    )
    deadline_maximum_seconds: float = Field(
        default=30, gt=0, description="seconds to the longest deadline that a request may ask for"
    )
    deadline_check_seconds: float = Field(
        default=0.2, gt=0, le=10, description="seconds between looks for deadlines that have passed"
    )
    pending_max: int = Field(
        default=2000, ge=1, description="reads no more requests while more are pending"
    )
    early_cancel_days: int = Field(
        default=21, ge=7, description="days for which a cancel waits for its request"
    )

    @property
    def policy(self) -> DeadlinePolicy:
        """Give the deadlines as the rules read them."""
        return DeadlinePolicy(self.deadline_default_seconds, self.deadline_maximum_seconds)
