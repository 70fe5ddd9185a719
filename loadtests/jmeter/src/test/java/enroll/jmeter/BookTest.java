package enroll.jmeter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import enroll.jmeter.Outcome.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class BookTest {
    private static final long TIMEOUT_MS = 1000;

    private final FakeClock clock = new FakeClock();
    private final Book book = new Book(clock);
    private final List<Ended> ends = new ArrayList<>();

    @Test
    void anOutcomeEndsItsOwnRequestAlone() {
        Sent first = send();
        Sent second = send();
        clock.advance(40);

        book.heard(outcome(second, Kind.CONFIRMED, ""));

        assertEquals(1, book.openCount());
        assertEquals(second, ends.get(0).sent());
        assertEquals("confirmed", ends.get(0).code());
        assertEquals(40, ends.get(0).endedMs() - second.intendedMs);
        assertEquals(1, ledger().open());
        assertTrue(first.acknowledgedMs().isEmpty());
    }

    @Test
    void refusalsAreCountedByTheirReasons() {
        book.heard(outcome(send(), Kind.REJECTED, "section_full"));
        book.heard(outcome(send(), Kind.REJECTED, "section_full"));
        book.heard(outcome(send(), Kind.REJECTED, "credit_limit+time_conflict"));

        assertEquals(
            Map.of("section_full", 2L, "credit_limit+time_conflict", 1L),
            ledger().rejectedByReason());
        assertEquals("rejected:section_full", ends.get(0).code());
        assertTrue(ledger().addsUp());
    }

    @Test
    void whatHasNoOutcomeByItsDeadlineTimesOutThenAndNotBefore() {
        Sent sent = send();

        clock.advance(TIMEOUT_MS - 1);
        book.expire();
        assertEquals(List.of(), ends);
        clock.advance(1);
        book.expire();

        assertEquals("timed_out", ends.get(0).code());
        assertTrue(ends.get(0).sentence().contains("enroll why " + sent.enrollmentId));
        assertEquals(1, ledger().timedOut());
        assertTrue(ledger().addsUp());
    }

    @Test
    void whatWasDecidedDoesNotTimeOut() {
        book.heard(outcome(send(), Kind.CONFIRMED, ""));

        clock.advance(TIMEOUT_MS);
        book.expire();

        assertEquals(1, ends.size());
        assertEquals(0, ledger().timedOut());
    }

    @Test
    void deadlinesPassInTheirOwnOrder() {
        Sent patient = send(5000);
        Sent hasty = send(10);

        clock.advance(10);
        book.expire();

        assertEquals(List.of(hasty), ends.stream().map(Ended::sent).toList());
        assertEquals(1, book.openCount());
        assertEquals(5000, patient.deadlineMs - patient.intendedMs);
    }

    @Test
    void anOutcomeBehindItsDeadlineIsLateAndEndsNothingAgain() {
        Sent sent = send();
        clock.advance(TIMEOUT_MS);
        book.expire();

        Outcome late = outcome(sent, Kind.CONFIRMED, "");
        book.heard(late);
        book.heard(late);

        assertEquals(1, ends.size());
        assertEquals(1, ledger().late());
        assertEquals(1, ledger().repeated());
        assertEquals(0, ledger().confirmed());
        assertTrue(ledger().addsUp());
    }

    @Test
    void anOutcomeOfWhatWasNotAcknowledgedIsNotOneThatCameLate() {
        Sent sent = send();
        book.unacknowledged(sent, "no answer");

        Outcome after = outcome(sent, Kind.CONFIRMED, "");
        book.heard(after);
        book.heard(after);

        assertEquals(0, ledger().late());
        assertEquals(1, ledger().unacknowledgedDecided());
        assertEquals(1, ledger().repeated());
        assertTrue(ledger().addsUp());
    }

    @Test
    void theSameEventAgainIsARepeatAndAnotherOneADuplicate() {
        Sent sent = send();
        Outcome outcome = outcome(sent, Kind.CONFIRMED, "");
        book.heard(outcome);

        book.heard(outcome);
        assertEquals(1, ledger().repeated());
        assertTrue(ledger().addsUp());
        book.heard(outcome(sent, Kind.REJECTED, "deadline"));

        assertEquals(1, ledger().duplicates());
        assertFalse(ledger().addsUp());
        assertEquals(0, ledger().rejected());
    }

    @Test
    void outcomesOfOthersAreForeign() {
        book.heard(new Outcome(
            UUID.randomUUID(), UUID.randomUUID(), Kind.CONFIRMED, "", "", "{}"));

        assertEquals(1, ledger().foreign());
        assertEquals(0, ledger().confirmed());
        assertTrue(ledger().addsUp());
    }

    @Test
    void whatKafkaDidNotTakeHasEnded() {
        Sent sent = send();

        book.unacknowledged(sent, "Kafka did not take it.");
        clock.advance(TIMEOUT_MS);
        book.expire();

        assertEquals(List.of("unacknowledged"), ends.stream().map(Ended::code).toList());
        assertEquals(1, ledger().unacknowledged());
        assertTrue(ledger().addsUp());
    }

    @Test
    void anOutcomeProvesThatKafkaTookItWhateverItsClientSaysLater() {
        Sent sent = send();
        book.heard(outcome(sent, Kind.CONFIRMED, ""));

        book.unacknowledged(sent, "no answer");

        assertEquals(0, ledger().unacknowledged());
        assertTrue(ledger().addsUp());
    }

    @Test
    void theMomentOfTheAcknowledgementIsKept() {
        Sent sent = send();

        clock.advance(7);
        book.acknowledged(sent);
        clock.advance(7);
        book.acknowledged(sent);

        assertEquals(7, sent.acknowledgedMs().orElseThrow() - sent.intendedMs);
        assertEquals(1, ledger().acknowledged());
    }

    @Test
    void howFarSendingWasBehindItsScheduleIsKept() {
        long dueMs = clock.millis();
        clock.advance(30);

        book.sent(request(dueMs, TIMEOUT_MS));
        send();

        assertEquals(30, ledger().sendDelayMsMax());
    }

    private Sent send() {
        return send(TIMEOUT_MS);
    }

    private Sent send(long timeoutMs) {
        Sent sent = request(clock.millis(), timeoutMs);
        book.sent(sent);
        return sent;
    }

    private Sent request(long intendedMs, long timeoutMs) {
        long deadlineMs = clock.millis() + timeoutMs;
        return new Sent(UUID.randomUUID(), "{}", "00-1-1-00", intendedMs, deadlineMs, ends::add);
    }

    private static Outcome outcome(Sent sent, Kind kind, String reasons) {
        return new Outcome(sent.enrollmentId, UUID.randomUUID(), kind, reasons, "", "{}");
    }

    private Ledger ledger() {
        return book.ledger(0, Optional.empty());
    }
}
