package enroll.jmeter;

import java.time.InstantSource;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.UUID;

/** Keeps which requests are open, matches them with their outcomes, and counts how they ended. */
final class Book {
    /** What ended longer ago is forgotten: its outcomes would count as foreign. */
    static final int REMEMBERED_MAX = 500_000;

    private static final UUID TIMED_OUT = new UUID(0, 0);
    private static final UUID UNACKNOWLEDGED = new UUID(0, 1);

    private final InstantSource clock;
    private final Counts counts = new Counts();
    private final Map<UUID, Sent> open = new HashMap<>();
    private final PriorityQueue<Sent> byDeadline =
        new PriorityQueue<>(Comparator.comparingLong((Sent sent) -> sent.deadlineMs));
    private final Map<UUID, UUID> outcomeOf = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<UUID, UUID> eldest) {
            return size() > REMEMBERED_MAX;
        }
    };

    Book(InstantSource clock) {
        this.clock = clock;
    }

    synchronized int openCount() {
        return open.size();
    }

    synchronized void notSent() {
        counts.notSent++;
    }

    /** Before it is sent, so that its outcome cannot be there first. */
    synchronized void sent(Sent sent) {
        counts.sent++;
        counts.sendDelayMsMax = Math.max(counts.sendDelayMsMax, clock.millis() - sent.intendedMs);
        open.put(sent.enrollmentId, sent);
        byDeadline.add(sent);
    }

    synchronized void acknowledged(Sent sent) {
        if (sent.acknowledge(clock.millis())) {
            counts.acknowledged++;
        }
    }

    synchronized void unacknowledged(Sent sent, String why) {
        if (open.containsKey(sent.enrollmentId)) {
            counts.unacknowledged++;
            end(Ended.failed(sent, clock.millis(), Ended.UNACKNOWLEDGED, why), UNACKNOWLEDGED);
        }
    }

    synchronized void heard(Outcome outcome) {
        Sent sent = open.get(outcome.enrollmentId());
        if (sent == null) {
            heardAfterTheEnd(outcome);
            return;
        }
        switch (outcome.kind()) {
            case CONFIRMED -> counts.confirmed++;
            case REJECTED -> counts.rejected(outcome.reasons());
            case CANCELLED -> counts.cancelled++;
        }
        end(Ended.decided(sent, clock.millis(), outcome), outcome.eventId());
    }

    private void heardAfterTheEnd(Outcome outcome) {
        UUID known = outcomeOf.get(outcome.enrollmentId());
        if (known == null) {
            counts.foreign++;
        } else if (known.equals(TIMED_OUT)) {
            counts.late++;
            outcomeOf.put(outcome.enrollmentId(), outcome.eventId());
        } else if (known.equals(UNACKNOWLEDGED)) {
            counts.unacknowledgedDecided++;
            outcomeOf.put(outcome.enrollmentId(), outcome.eventId());
        } else if (known.equals(outcome.eventId())) {
            counts.repeated++;
        } else {
            counts.duplicates++;
        }
    }

    /** End all that have waited for too long. */
    synchronized void expire() {
        long nowMs = clock.millis();
        while (!byDeadline.isEmpty() && byDeadline.peek().deadlineMs <= nowMs) {
            Sent sent = byDeadline.poll();
            if (open.containsKey(sent.enrollmentId)) {
                counts.timedOut++;
                String sentence = "No outcome came in time: see `enroll why " + sent.enrollmentId
                    + "`, and whether the services keep up (`enroll status`).";
                end(Ended.failed(sent, nowMs, Ended.TIMED_OUT, sentence), TIMED_OUT);
            }
        }
    }

    private void end(Ended ended, UUID eventId) {
        UUID id = ended.sent().enrollmentId;
        open.remove(id);
        outcomeOf.put(id, eventId);
        ended.sent().onEnd.accept(ended);
    }

    /** Give what is counted so far. */
    synchronized Ledger ledger(int unreported, Optional<String> readingFailure) {
        return counts.ledger(open.size(), unreported, readingFailure);
    }
}
