package enroll.jmeter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class LedgerTest {
    @Test
    void whatIsWholeAddsUpAlsoWithFailuresOfEachKind() {
        assertTrue(ledger(10, 2, 0, 0, 0, Optional.empty()).addsUp());
    }

    @Test
    void whatWasSentAndHasNoEndIsMissed() {
        assertProblem(ledger(11, 2, 0, 0, 0, Optional.empty()), "11 requests were sent and 10");
    }

    @Test
    void refusalsWithoutAReasonAreMissed() {
        assertProblem(ledger(10, 1, 0, 0, 0, Optional.empty()), "2 were rejected, and 1");
    }

    @Test
    void whatIsOpenUnreportedDoubledOrUnreadIsTold() {
        assertProblem(ledger(10, 2, 3, 0, 0, Optional.empty()), "3 were still open");
        assertProblem(ledger(10, 2, 0, 4, 0, Optional.empty()), "4 ended and have no sample");
        assertProblem(ledger(10, 2, 0, 0, 5, Optional.empty()), "5 outcomes came");
        assertProblem(ledger(10, 2, 0, 0, 0, Optional.of("Reading failed.")), "Reading failed.");
    }

    @Test
    void theFileSaysWhatTheRecordDoes() throws Exception {
        var json = new ObjectMapper().readTree(ledger(11, 2, 0, 0, 0, Optional.empty()).json());

        assertEquals(11, json.get("sent").asLong());
        assertEquals(2, json.get("rejected_by_reason").get("section_full").asLong());
        assertFalse(json.get("adds_up").asBoolean());
        assertEquals(1, json.get("problems").size());
    }

    private static void assertProblem(Ledger ledger, String beginning) {
        assertFalse(ledger.addsUp());
        assertEquals(1, ledger.problems().size(), ledger.problems().toString());
        assertTrue(ledger.problems().get(0).startsWith(beginning), ledger.problems().toString());
    }

    /** Ten that have ended: 4 confirmed, 2 rejected, 1 cancelled, 2 timed out, 1 not taken. */
    private static Ledger ledger(long sent, long explained, long open, long unreported,
            long duplicates, Optional<String> readingFailure) {
        return new Ledger(sent, 9, 4, 2, new TreeMap<>(Map.of("section_full", explained)), 1, 2, 1,
            open, unreported, 0, duplicates, 0, 0, 0, 0, 0, readingFailure);
    }
}
