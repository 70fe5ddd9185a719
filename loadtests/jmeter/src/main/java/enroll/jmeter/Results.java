package enroll.jmeter;

import java.util.Optional;
import org.apache.jmeter.samplers.SampleResult;

/** Makes JMeter's results of what became of requests. */
final class Results {
    private Results() {}

    static SampleResult of(Ended ended) {
        Sent sent = ended.sent();
        SampleResult result = timed(sent.intendedMs, ended.endedMs());
        long acknowledgedMs = sent.acknowledgedMs().orElse(ended.endedMs());
        // An outcome can be read before the acknowledgement of its request.
        result.setLatency(Math.min(acknowledgedMs, ended.endedMs()) - sent.intendedMs);
        result.setSuccessful(ended.outcome().isPresent());
        result.setResponseCode(ended.code());
        result.setResponseMessage(ended.sentence());
        describe(result, sent, ended.outcome().map(Outcome::body).orElse(""));
        ended.outcome().map(Outcome::eventId).ifPresent(id ->
            result.setResponseHeaders(result.getResponseHeaders() + "event_id: " + id + "\n"));
        return result;
    }

    static SampleResult published(Sent sent, long acknowledgedMs, int partition, long offset) {
        SampleResult result = timed(sent.intendedMs, acknowledgedMs);
        result.setLatency(result.getTime());
        result.setSuccessful(true);
        result.setResponseCode("published");
        describe(result, sent, "");
        result.setResponseHeaders(result.getResponseHeaders()
            + "partition: " + partition + "\noffset: " + offset + "\n");
        return result;
    }

    static SampleResult judged(long startMs, long endMs, Optional<Ledger> ledger) {
        SampleResult result = timed(startMs, endMs);
        boolean addsUp = ledger.map(found -> found.addsUp() && found.sent() > 0).orElse(false);
        result.setSuccessful(addsUp);
        result.setResponseCode(addsUp ? "adds_up" : "does_not_add_up");
        result.setResponseMessage(ledger.filter(found -> found.sent() > 0)
            .map(found -> String.join(" ", found.problems()))
            .orElse("Nothing was sent: see the failed samples, and jmeter.log."));
        result.setResponseData(ledger.map(Ledger::json).orElse(""), "UTF-8");
        result.setDataType(SampleResult.TEXT);
        return result;
    }

    static SampleResult failed(long startMs, long endMs, SamplerError error) {
        SampleResult result = timed(startMs, endMs);
        result.setSuccessful(false);
        result.setResponseCode(error.code);
        result.setResponseMessage(error.getMessage());
        result.setStopThread(error.endsThread);
        return result;
    }

    private static SampleResult timed(long startMs, long endMs) {
        var result = new SampleResult();
        result.setStampAndTime(result.isStampedAtStart() ? startMs : endMs, endMs - startMs);
        return result;
    }

    private static void describe(SampleResult result, Sent sent, String answer) {
        result.setSamplerData(sent.body);
        result.setResponseData(answer, "UTF-8");
        result.setDataType(SampleResult.TEXT);
        result.setResponseHeaders("enrollment_id: " + sent.enrollmentId
            + "\ntraceparent: " + sent.traceparent + "\n");
    }
}
