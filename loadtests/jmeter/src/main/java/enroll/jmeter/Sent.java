package enroll.jmeter;

import java.util.OptionalLong;
import java.util.UUID;
import java.util.function.Consumer;

/** A request that was handed to Kafka's client; times are milliseconds of one clock. */
final class Sent {
    final UUID enrollmentId;
    final String body;
    final String traceparent;
    final long intendedMs;
    final long deadlineMs;
    final Consumer<Ended> onEnd;
    private volatile long acknowledgedMs = -1;

    Sent(UUID enrollmentId, String body, String traceparent, long intendedMs, long deadlineMs,
            Consumer<Ended> onEnd) {
        this.enrollmentId = enrollmentId;
        this.body = body;
        this.traceparent = traceparent;
        this.intendedMs = intendedMs;
        this.deadlineMs = deadlineMs;
        this.onEnd = onEnd;
    }

    /** False if it was acknowledged before. */
    boolean acknowledge(long nowMs) {
        boolean isFirst = acknowledgedMs < 0;
        acknowledgedMs = isFirst ? nowMs : acknowledgedMs;
        return isFirst;
    }

    OptionalLong acknowledgedMs() {
        return acknowledgedMs < 0 ? OptionalLong.empty() : OptionalLong.of(acknowledgedMs);
    }
}
