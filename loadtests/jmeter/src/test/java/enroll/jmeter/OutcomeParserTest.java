package enroll.jmeter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class OutcomeParserTest {
    private static final UUID ENROLLMENT = new UUID(1, 2);
    private static final UUID EVENT = new UUID(3, 4);

    @Test
    void aConfirmationIsAnOutcome() throws Exception {
        Outcome outcome =
            OutcomeParser.parse(headers("EnrollmentConfirmed")::get, "{}").orElseThrow();

        assertEquals(ENROLLMENT, outcome.enrollmentId());
        assertEquals(EVENT, outcome.eventId());
        assertEquals("confirmed", outcome.code());
    }

    @Test
    void aRefusalHasItsCodesOnceAndSortedAndItsFirstSentence() throws Exception {
        String body = """
            {"stage": "eligibility", "reasons": [
              {"code": "time_conflict", "section_id": "1.26", "detail": "They meet at once."},
              {"code": "time_conflict", "section_id": "3.31", "detail": "They, too."},
              {"code": "credit_limit", "detail": "Too much."}]}""";

        Outcome outcome =
            OutcomeParser.parse(headers("EnrollmentRejected")::get, body).orElseThrow();

        assertEquals("rejected:credit_limit+time_conflict", outcome.code());
        assertEquals("They meet at once.", outcome.sentence());
        assertEquals(body, outcome.body());
    }

    @Test
    void aCancelDecidesOnlyWhatWasPending() throws Exception {
        var headers = headers("EnrollmentCancelled");

        assertEquals("cancelled",
            OutcomeParser.parse(headers::get, "{\"was\": \"pending\"}").orElseThrow().code());
        assertTrue(OutcomeParser.parse(headers::get, "{\"was\": \"confirmed\"}").isEmpty());
    }

    @Test
    void otherEventsDecideNothing() throws Exception {
        assertTrue(OutcomeParser.parse(headers("EnrollmentOpened")::get, "{}").isEmpty());
        assertTrue(OutcomeParser.parse(name -> null, "").isEmpty());
    }

    @Test
    void whatIsNotOfTheContractIsRefused() {
        var headers = headers("EnrollmentRejected");
        assertThrows(
            JsonProcessingException.class, () -> OutcomeParser.parse(headers::get, "{\"reasons\""));

        headers.remove("ce_subject");
        assertThrows(
            IllegalArgumentException.class, () -> OutcomeParser.parse(headers::get, "{}"));
    }

    private static Map<String, String> headers(String type) {
        return new HashMap<>(Map.of(
            "ce_type", type, "ce_subject", ENROLLMENT.toString(), "ce_id", EVENT.toString()));
    }
}
