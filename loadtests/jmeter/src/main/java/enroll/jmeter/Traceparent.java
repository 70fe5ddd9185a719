package enroll.jmeter;

import java.util.HexFormat;
import java.util.random.RandomGenerator;

/** Begins a trace for each request, as W3C Trace Context writes it. */
final class Traceparent {
    private Traceparent() {}

    /** Make one; of many, `ratio` say that the trace is to be recorded. */
    static String begin(RandomGenerator random, double ratio) {
        String flags = random.nextDouble() < ratio ? "01" : "00";
        // All zeros mean that there is no trace: one bit is always set.
        String traceId = hex(random.nextLong()) + hex(random.nextLong() | 1);
        return "00-" + traceId + "-" + hex(random.nextLong() | 1) + "-" + flags;
    }

    private static String hex(long bits) {
        return HexFormat.of().toHexDigits(bits);
    }
}
