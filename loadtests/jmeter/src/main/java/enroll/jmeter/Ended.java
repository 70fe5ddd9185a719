package enroll.jmeter;

import java.util.Optional;

/** What became of a request: its outcome, or why it has none. */
record Ended(Sent sent, long endedMs, Optional<Outcome> outcome, String failure, String sentence) {
    static final String TIMED_OUT = "timed_out";
    static final String UNACKNOWLEDGED = "unacknowledged";

    static Ended decided(Sent sent, long endedMs, Outcome outcome) {
        return new Ended(sent, endedMs, Optional.of(outcome), "", outcome.sentence());
    }

    static Ended failed(Sent sent, long endedMs, String failure, String sentence) {
        return new Ended(sent, endedMs, Optional.empty(), failure, sentence);
    }

    /** The response code of its sample. */
    String code() {
        return outcome.map(Outcome::code).orElse(failure);
    }
}
