"""The labels of the metrics, and all values that they may have."""

from typing import Final

from shared.breaker import BreakerState
from shared.choreography import TOPIC_OF, TOPICS
from shared.events import ReasonCode
from shared.message import Unreadability
from shared.metric_types import Label

OUTCOMES: Final = ("confirmed", "rejected", "cancelled")
WITHOUT_REASON: Final = "none"
WHILE_PENDING: Final = "while_pending"
WHILE_CONFIRMED: Final = "while_confirmed"
PARKING: Final = ("decision_raised", "held", "database_refused")

_STATES: Final = tuple(state.value for state in BreakerState)
_CODES: Final = tuple(code.value for code in ReasonCode)

TOPIC: Final = Label("topic", "the topics of the choreography", tuple(t.name for t in TOPICS))
PARTITION: Final = Label("partition", "the partitions of that topic")
BREAKER: Final = Label("breaker", "the breakers that the process has")
PARKED_REASON: Final = Label(
    "reason",
    "why a decision, the database or the reader refused it",
    (*PARKING, *(reason.value for reason in Unreadability)),
)
OUTCOME: Final = Label("outcome", "the outcomes of an enrollment", OUTCOMES)
OUTCOME_REASON: Final = Label(
    "reason",
    "of a rejection its first reason; of a cancellation what it was before; else `none`",
    (*_CODES, WHILE_PENDING, WHILE_CONFIRMED, WITHOUT_REASON),
)
EVENT: Final = Label("event", "the events of the choreography", tuple(e.__name__ for e in TOPIC_OF))
POOL: Final = Label("pool", "the pools of connections of a process", ("service", "http"))
METHOD: Final = Label(
    "method", "the methods of HTTP", ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
)
ROUTE: Final = Label("route", "the templates of the paths of the ingress, and `none`")
STATUS: Final = Label(
    "status",
    "the class of the status; `none`: the client went away before it had an answer",
    ("1xx", "2xx", "3xx", "4xx", "5xx", "none"),
)
PROBLEM: Final = Label(
    "problem", "the kinds of problems in services/enrollment/ingress/PROBLEMS.md"
)
LOOKUP: Final = Label(
    "result",
    "`done`: answered from memory; `first`: not known; `unknown`: the cache did not answer",
    ("first", "in_flight", "done", "other_body", "unknown"),
)
STATE_BEFORE: Final = Label("from", "the states of a breaker", _STATES)
STATE_AFTER: Final = Label("to", "the states of a breaker", _STATES)
