package enroll.jmeter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Instant;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MessageTest {
    private static final UUID ID = UUID.fromString("018f5f7e-7d3a-7cc4-9d6c-0f2b8a7f3c11");

    @Test
    void theHeadersAreThoseOfBinaryModeInTheServicesOrder() {
        var headers = CloudEvent.request(
            new UUID(1, 2), ID, Instant.parse("2026-08-17T14:00:00.123456789Z"), "00-a-b-00");

        assertEquals(
            List.of("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time",
                "content-type", "traceparent"),
            List.copyOf(headers.keySet()));
        assertEquals("1.0", headers.get("ce_specversion"));
        assertEquals("EnrollmentRequested", headers.get("ce_type"));
        assertEquals(ID.toString(), headers.get("ce_subject"));
        assertEquals("2026-08-17T14:00:00.123456+00:00", headers.get("ce_time"));
        assertEquals("application/json", headers.get("content-type"));
    }

    @Test
    void theBodyIsTheOneOfTheContract() throws Exception {
        Request request = Request.of("fall.07", "S000001", "1.26, 3.31;5:1  6-2", "20");

        var body = new ObjectMapper().readTree(request.body(ID));

        assertEquals(new ObjectMapper().readTree("""
            {"enrollment_id": "018f5f7e-7d3a-7cc4-9d6c-0f2b8a7f3c11", "student_id": "S000001",
             "term": "fall.07", "sections": ["1.26", "3.31", "5:1", "6-2"],
             "deadline_seconds": 20.0}"""), body);
    }

    @Test
    void aDeadlineThatIsNotGivenIsNotWritten() throws Exception {
        Request request = Request.of("fall", "S1", "1", "");

        assertFalse(request.body(ID).contains("deadline"), request.body(ID));
    }

    @ParameterizedTest
    @CsvSource(textBlock = """
        '',     S1,         1,      '', term is
        fall,   ${student}, 1,      '', is its CSV Data Set in the plan
        fall,   S 1,        1,      '', student is
        fall,   S1,         ' , ',  '', sections has 0 ids
        fall,   S1,         1 2 1,  '', name each section once
        fall,   S1,         a"b,    '', sections is
        fall,   S1,         1,      -1, deadline_seconds is
        fall,   S1,         1,     NaN, deadline_seconds is
        fall,   S1,         1,    soon, deadline_seconds is
        """)
    void aBadParameterIsNamedWithWhatToWrite(
            String term, String student, String sections, String deadline, String says) {
        var error = assertThrows(
            SamplerError.class, () -> Request.of(term, student, sections, deadline));

        assertEquals("bad_parameter", error.code);
        assertFalse(error.endsThread);
        assertTrue(error.getMessage().contains(says), error.getMessage());
    }

    @Test
    void moreSectionsThanTheContractAllowsAreRefused() {
        String many = String.join(" ", IntStream.range(0, 51).mapToObj(String::valueOf).toList());

        assertThrows(SamplerError.class, () -> Request.of("fall", "S1", many, ""));
    }

    @Test
    void tracesAreRecordedAsOftenAsAsked() {
        var random = new Random(7);

        List<String> made =
            Stream.generate(() -> Traceparent.begin(random, 0.25)).limit(4000).toList();

        assertTrue(made.stream().allMatch(t -> t.matches("00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")));
        long recorded = made.stream().filter(t -> t.endsWith("-01")).count();
        assertTrue(recorded > 850 && recorded < 1150, "recorded " + recorded);
        assertEquals(4000, made.stream().distinct().count());
    }
}
