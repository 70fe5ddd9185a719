package enroll.jmeter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import enroll.jmeter.Outcome.Kind;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class ResultsTest {
    private static final long DUE_MS = 1_000_000;

    private final Sent sent =
        new Sent(new UUID(1, 2), "{\"a\":1}", "00-1-1-00", DUE_MS, DUE_MS + 5000, ended -> { });

    @Test
    void aSampleCountsFromTheMomentAtWhichItsRequestWasDue() {
        sent.acknowledge(DUE_MS + 30);

        var result = Results.of(Ended.decided(sent, DUE_MS + 250, rejected()));

        assertEquals(DUE_MS, result.getStartTime());
        assertEquals(250, result.getTime());
        assertEquals(30, result.getLatency());
    }

    @Test
    void aRefusalIsASuccessOfTheSystem() {
        var result = Results.of(Ended.decided(sent, DUE_MS + 250, rejected()));

        assertTrue(result.isSuccessful());
        assertEquals("rejected:section_full", result.getResponseCode());
        assertEquals("No seat.", result.getResponseMessage());
        assertEquals("{\"a\":1}", result.getSamplerData());
        assertEquals("{\"b\":2}", result.getResponseDataAsString());
        assertTrue(result.getResponseHeaders().contains("enrollment_id: " + sent.enrollmentId));
    }

    @Test
    void noLatencyIsLongerThanItsSample() {
        sent.acknowledge(DUE_MS + 300);

        var result = Results.of(Ended.decided(sent, DUE_MS + 250, rejected()));

        assertEquals(250, result.getLatency());
    }

    @Test
    void whatHasNoOutcomeFails() {
        var result = Results.of(Ended.failed(sent, DUE_MS + 5000, Ended.TIMED_OUT, "Look there."));

        assertFalse(result.isSuccessful());
        assertEquals("timed_out", result.getResponseCode());
        assertEquals("Look there.", result.getResponseMessage());
    }

    @Test
    void aRunThatSentNothingIsNoSuccess() {
        var result = Results.judged(1, 2, Optional.empty());

        assertFalse(result.isSuccessful());
        assertEquals("does_not_add_up", result.getResponseCode());
    }

    @Test
    void onlyWhatWouldFailAgainEndsItsThread() {
        var once = Results.failed(1, 2, SamplerError.badParameter("x"));
        var forGood = Results.failed(1, 2, SamplerError.noKafka("x", null));

        assertFalse(once.isStopThread());
        assertTrue(forGood.isStopThread());
        assertFalse(forGood.isStopTest());
    }

    private Outcome rejected() {
        return new Outcome(sent.enrollmentId, new UUID(3, 4), Kind.REJECTED, "section_full",
            "No seat.", "{\"b\":2}");
    }
}
