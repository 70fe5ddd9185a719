package enroll.jmeter;

import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicLong;

/** A schedule that has begun: each who asks gets the next moment, whichever thread it is. */
final class Pace {
    private final Schedule schedule;
    private final long startMs;
    private final long count;
    private final AtomicLong next = new AtomicLong();

    Pace(Schedule schedule, long startMs) {
        this.schedule = schedule;
        this.startMs = startMs;
        this.count = schedule.count();
    }

    /** When the next request is due; nothing once the schedule is over. */
    OptionalLong nextDueMs() {
        long number = next.getAndIncrement();
        return number < count
            ? OptionalLong.of(startMs + schedule.dueMs(number))
            : OptionalLong.empty();
    }
}
