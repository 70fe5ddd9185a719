"""What the paths of staff ask."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from services.enrollment.ingress.access import Access, Caller
from services.enrollment.ingress.answers import Answers
from services.enrollment.ingress.documenting import FOR_THE_KNOWN
from services.enrollment.ingress.known import Known
from services.enrollment.ingress.operators_trail import OperatorsTrail
from services.enrollment.ingress.peers import Peers
from services.enrollment.ingress.request_queue import RequestQueue
from services.enrollment.ingress.view.reader import View
from shared.clock import Clock

FOR_STAFF: Final = FOR_THE_KNOWN


@dataclass(frozen=True)
class Monitored:
    """What the paths of staff ask."""

    access: Access
    view: View
    known: Known
    answers: Answers
    queue: RequestQueue
    peers: Peers
    trail: OperatorsTrail
    clock: Clock
    stuck_age_seconds: float

    def staff(self, request: Request) -> Caller:
        """Tell who of the staff calls, or raise a Problem."""
        caller = self.access.caller(request.headers.get("authorization"))
        caller.require_staff()
        return caller
