package enroll.jmeter;

import java.time.Instant;
import java.time.InstantSource;

/** A clock that stands until it is moved. */
final class FakeClock implements InstantSource {
    private long nowMs = 1_000_000;

    void advance(long milliseconds) {
        nowMs += milliseconds;
    }

    @Override
    public Instant instant() {
        return Instant.ofEpochMilli(nowMs);
    }
}
