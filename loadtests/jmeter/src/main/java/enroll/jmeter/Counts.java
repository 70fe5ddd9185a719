package enroll.jmeter;

import java.util.Optional;
import java.util.TreeMap;

/** What a book counts, each where it happens. */
final class Counts {
    long sent;
    long acknowledged;
    long confirmed;
    long cancelled;
    long timedOut;
    long unacknowledged;
    long repeated;
    long duplicates;
    long late;
    long unacknowledgedDecided;
    long foreign;
    long notSent;
    long sendDelayMsMax;
    private long rejected;
    private final TreeMap<String, Long> rejectedByReason = new TreeMap<>();

    void rejected(String reasons) {
        rejected++;
        rejectedByReason.merge(reasons, 1L, Long::sum);
    }

    Ledger ledger(long open, long unreported, Optional<String> readingFailure) {
        return new Ledger(sent, acknowledged, confirmed, rejected, new TreeMap<>(rejectedByReason),
            cancelled, timedOut, unacknowledged, open, unreported, repeated, duplicates, late,
            unacknowledgedDecided, foreign, notSent, sendDelayMsMax, readingFailure);
    }
}
