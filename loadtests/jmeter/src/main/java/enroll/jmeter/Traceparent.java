package enroll.jmeter;

import java.util.random.RandomGenerator;

/** Begins a trace for each request, as W3C Trace Context writes it. */
final class Traceparent {
    private Traceparent() {}

    /** Make one; of many, `ratio` say that the trace is to be recorded. */
    static String begin(RandomGenerator random, double ratio) {
        String flags = random.nextDouble() < ratio ? "01" : "00";
        // All zeros mean that there is no trace: one bit is always set.
        return String.format("00-%016x%016x-%016x-%s",
            random.nextLong(), random.nextLong() | 1, random.nextLong() | 1, flags);
    }
}
