"""The table of all metrics: each is declared here once, and documented from here."""

from typing import Final

from shared.choreography import Service
from shared.metric_labels import (
    BREAKER,
    EVENT,
    LOOKUP,
    METHOD,
    OUTCOME,
    OUTCOME_REASON,
    PARKED_REASON,
    PARTITION,
    POOL,
    PROBLEM,
    ROUTE,
    STATE_AFTER,
    STATE_BEFORE,
    STATUS,
    TOPIC,
)
from shared.metric_types import Counter, Gauge, Histogram, Metric

INGRESS: Final = "ingress"
SERVICES: Final = tuple(service.value for service in Service)
ALL: Final = (*SERVICES, INGRESS)
OBJECTIVE_SECONDS: Final = 1.0  # a boundary of what is held against it
LONG_PENDING_SECONDS: Final = 10.0

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, OBJECTIVE_SECONDS, 2.5, 5.0, 10.0, 30.0)
SAGA_SECONDS: Final = (
    *(0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, OBJECTIVE_SECONDS),
    *(1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0),
)
SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)

# What is read, decided and said

MESSAGES_READ = Counter(
    name="messages_read",
    unit="{message}",
    description="Messages in committed batches.",
    processes=ALL,
)
EVENTS_EMITTED = Counter(
    name="events_emitted",
    unit="{event}",
    description="Events put into the outbox, in committed transactions.",
    processes=ALL,
)
EVENTS_PUBLISHED = Counter(
    name="events_published",
    unit="{event}",
    description="Events that Kafka has acknowledged.",
    processes=ALL,
)
INBOX_DUPLICATES = Counter(
    name="inbox_duplicates",
    unit="{event}",
    description="Events that came again and changed nothing.",
    processes=ALL,
)
BATCH_SIZE = Histogram(
    name="batch_size",
    unit="{message}",
    description="Messages of a committed batch.",
    processes=ALL,
    boundaries=SIZES,
)
BATCH_DURATION = Histogram(
    name="batch_duration",
    unit="s",
    description="From the handing over of a batch to its commit, with all waiting and repeating.",
    processes=ALL,
    boundaries=SECONDS,
)
BATCH_RUNNING = Gauge(
    name="batch_running",
    unit="s",
    description="For how long the batch that is at work has been; 0 while there is none.",
    processes=ALL,
)
CONSUMER_LAG = Gauge(
    name="consumer_lag",
    unit="{message}",
    description="Messages in the partitions of this process that it has not committed; "
    "of a partition that is not read now, as it was when it was read.",
    processes=ALL,
    labels=(TOPIC, PARTITION),
)
PARTITIONS_OWNED = Gauge(
    name="partitions_owned",
    unit="{partition}",
    description="Partitions that the group has given to this process.",
    processes=ALL,
)
PARTITIONS_OUT_OF_RANGE = Gauge(
    name="partitions_out_of_range",
    unit="{partition}",
    description="Partitions that wait for an operator: their next offset is not in the log.",
    processes=ALL,
)
PARTITIONS_UNOWNED = Gauge(
    name="partitions_unowned",
    unit="{partition}",
    description="Partitions of the group without an owner, as the process that relays sees it.",
    processes=ALL,
)
TOPICS_CLOSED = Gauge(
    name="topics_closed",
    unit="{topic}",
    description="Topics that are not read now: too much is pending, or catalogs come first.",
    processes=ALL,
)
STEP_DURATION = Histogram(
    name="step_duration",
    unit="s",
    description="From when an event came about to when this service's answer was committed; "
    "of what comes from outside, from when the broker took it. By the clocks of two machines.",
    processes=SERVICES,
    labels=(EVENT,),
    boundaries=SAGA_SECONDS,
)

# The outbox

OUTBOX_DEPTH = Gauge(
    name="outbox_depth",
    unit="{event}",
    description="Events that wait to be published; counted to 100,000.",
    processes=ALL,
)
OUTBOX_OLDEST = Gauge(
    name="outbox_oldest", unit="s", description="Age of the oldest of them.", processes=ALL
)
OUTBOX_WAIT = Histogram(
    name="outbox_wait",
    unit="s",
    description="From when an event came about to when Kafka had acknowledged it.",
    processes=ALL,
    boundaries=SAGA_SECONDS,
)
RELAY_LEASE = Gauge(
    name="relay_lease",
    unit="{lease}",
    description="1 where this process relays; of the processes of a service one does.",
    processes=ALL,
)

# Dead letters

DEAD_LETTERS_PARKED = Counter(
    name="dead_letters_parked",
    unit="{message}",
    description="Messages parked.",
    processes=ALL,
    labels=(PARKED_REASON,),
)
DEAD_LETTERS = Gauge(
    name="dead_letters",
    unit="{message}",
    description="Messages parked now, of the 10,000 oldest.",
    processes=ALL,
    labels=(PARKED_REASON,),
)
DEAD_LETTERS_OLDEST = Gauge(
    name="dead_letters_oldest",
    unit="s",
    description="Age of the oldest of them; 0 where there is none.",
    processes=ALL,
)

# Breakers, the database, the process

BREAKER_OPEN = Gauge(
    name="breaker_open",
    unit="{breaker}",
    description="1 while a breaker is not closed.",
    processes=ALL,
    labels=(BREAKER,),
)
BREAKER_CHANGES = Counter(
    name="breaker_changes",
    unit="{change}",
    description="Changes of a breaker's state.",
    processes=ALL,
    labels=(BREAKER, STATE_BEFORE, STATE_AFTER),
)
DATABASE_UP = Gauge(
    name="database_up",
    unit="{database}",
    description="1 while the database has answered lately.",
    processes=ALL,
)
DATABASE_POOL_SIZE = Gauge(
    name="database_pool_size",
    unit="{connection}",
    description="Connections that there may be at once.",
    processes=ALL,
    labels=(POOL,),
)
DATABASE_POOL_USED = Gauge(
    name="database_pool_used",
    unit="{connection}",
    description="Connections that are lent now; the relay keeps one.",
    processes=ALL,
    labels=(POOL,),
)
DATABASE_OLDEST_TRANSACTION = Gauge(
    name="database_oldest_transaction",
    unit="s",
    description="Age of the oldest transaction in this database, whoever's it is; 0: none. "
    "The role of the service needs `pg_read_all_stats`, or it sees its own alone.",
    processes=ALL,
)
DATABASE_OLDEST_SNAPSHOT = Gauge(
    name="database_oldest_snapshot",
    unit="s",
    description="Age of the oldest of them that keeps dead rows from being cleared away.",
    processes=ALL,
)
EVENT_LOOP_DELAY = Histogram(
    name="event_loop_delay",
    unit="s",
    description="How late a timer fires. A loop that is stuck answers nobody, this one neither.",
    processes=ALL,
    boundaries=(0.001, *SECONDS),
)
PROCESS_START_TIME = Gauge(
    name="process_start_time",
    unit="s",
    description="When the process started, since 1970.",
    processes=ALL,
)
SPANS_RECORDED = Counter(
    name="spans_recorded",
    unit="{span}",
    description="Spans of sampled sagas, on their way to the collector.",
    processes=ALL,
)
SPANS_SENT = Counter(
    name="spans_sent",
    unit="{span}",
    description="Spans that the collector has taken.",
    processes=ALL,
)
SPANS_LOST = Counter(
    name="spans_lost",
    unit="{span}",
    description="Spans that the collector has not taken; what was recorded and is in neither "
    "waits, or had no room.",
    processes=ALL,
)

# Enrollments and seats

ENROLLMENT_OUTCOMES = Counter(
    name="enrollment_outcomes",
    unit="{enrollment}",
    description="Outcomes in committed batches; one that was confirmed may be cancelled later.",
    processes=(Service.ENROLLMENT.value,),
    labels=(OUTCOME, OUTCOME_REASON),
)
ENROLLMENT_DURATION = Histogram(
    name="enrollment_duration",
    unit="s",
    description="From the request to the commit of its first outcome.",
    processes=(Service.ENROLLMENT.value,),
    labels=(OUTCOME,),
    boundaries=SAGA_SECONDS,
)
ENROLLMENTS_PENDING = Gauge(
    name="enrollments_pending",
    unit="{enrollment}",
    description="Enrollments without an outcome; counted to 10,000.",
    processes=(Service.ENROLLMENT.value,),
)
ENROLLMENTS_PENDING_LONG = Gauge(
    name="enrollments_pending_long",
    unit="{enrollment}",
    description=f"Those of them that were opened more than {LONG_PENDING_SECONDS:g} s ago.",
    processes=(Service.ENROLLMENT.value,),
)
ENROLLMENTS_PENDING_OLDEST = Gauge(
    name="enrollments_pending_oldest",
    unit="s",
    description="Age of the oldest of them; 0 where there is none.",
    processes=(Service.ENROLLMENT.value,),
)
SAGAS_COMPENSATING = Gauge(
    name="sagas_compensating",
    unit="{enrollment}",
    description="Rejected and cancelled enrollments that have still to give something back, as the "
    "view has it; counted to 10,000.",
    processes=(INGRESS,),
)
SAGAS_COMPENSATING_OLDEST = Gauge(
    name="sagas_compensating_oldest",
    unit="s",
    description="For how long the first of them has; 0 where there is none.",
    processes=(INGRESS,),
)
SECTIONS_OPEN = Gauge(
    name="sections_open",
    unit="{section}",
    description="Open sections; the first 100,000 count, here and below.",
    processes=(Service.CAPACITY.value,),
)
SECTIONS_FULL = Gauge(
    name="sections_full",
    unit="{section}",
    description="Open sections without a free seat.",
    processes=(Service.CAPACITY.value,),
)
SEATS_CAPACITY = Gauge(
    name="seats_capacity",
    unit="{seat}",
    description="Seats of open sections.",
    processes=(Service.CAPACITY.value,),
)
SEATS_RESERVED = Gauge(
    name="seats_reserved",
    unit="{seat}",
    description="Reserved seats of open sections.",
    processes=(Service.CAPACITY.value,),
)

# HTTP

HTTP_REQUEST_DURATION = Histogram(
    name="http_request_duration",
    unit="s",
    description="From when the application takes a request to the end of its answer. "
    "Who is sent away before "
    "the application counts as 0 s, with the route `/enrollments` or `none`.",
    processes=(INGRESS,),
    labels=(METHOD, ROUTE, STATUS),
    boundaries=SECONDS,
)
HTTP_REFUSALS = Counter(
    name="http_refusals",
    unit="{answer}",
    description="Answers that were problems.",
    processes=(INGRESS,),
    labels=(PROBLEM,),
)
HTTP_CONNECTIONS = Gauge(
    name="http_connections",
    unit="{connection}",
    description="Connections of clients.",
    processes=(INGRESS,),
)
HTTP_WATCHERS = Gauge(
    name="http_watchers",
    unit="{request}",
    description="Requests that wait for an outcome, or stream what happens.",
    processes=(INGRESS,),
)
IDEMPOTENCY_LOOKUPS = Counter(
    name="idempotency_lookups",
    unit="{request}",
    description="Requests looked up in the cache of answers.",
    processes=(INGRESS,),
    labels=(LOOKUP,),
)
VIEW_AGE = Gauge(
    name="view_age",
    unit="s",
    description="For how long the view that is read may have missed something.",
    processes=(INGRESS,),
)
REQUESTS_UNREAD = Gauge(
    name="requests_unread",
    unit="{request}",
    description="Requests in their topic that enrollment has not read.",
    processes=(INGRESS,),
)
REQUESTS_UNREAD_OLDEST = Gauge(
    name="requests_unread_oldest",
    unit="s",
    description="For how long the oldest of them has waited; grows on while Kafka is away.",
    processes=(INGRESS,),
)

TABLE: Final[tuple[Metric, ...]] = tuple(
    value for value in globals().copy().values() if isinstance(value, Metric)
)
