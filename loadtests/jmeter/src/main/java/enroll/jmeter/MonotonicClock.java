package enroll.jmeter;

import java.time.Instant;
import java.time.InstantSource;

/** The time of day at the start, and from there on only forward, however the clock is set. */
final class MonotonicClock implements InstantSource {
    private final Instant start = Instant.now();
    private final long startNanos = System.nanoTime();

    @Override
    public Instant instant() {
        return start.plusNanos(System.nanoTime() - startNanos);
    }
}
