package enroll.jmeter;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import enroll.jmeter.Outcome.Kind;
import java.util.Optional;
import java.util.TreeSet;
import java.util.UUID;
import java.util.function.Function;

/** Tells outcomes among the events of enrollment, by their headers; only refusals are parsed. */
final class OutcomeParser {
    private static final ObjectMapper JSON = new ObjectMapper();

    private OutcomeParser() {}

    /** Read an event; nothing where it decides nothing. Throws where it is not of the contract. */
    static Optional<Outcome> parse(Function<String, String> header, String body)
            throws JsonProcessingException {
        String type = header.apply("ce_type");
        if (type == null) {
            return Optional.empty();
        }
        return switch (type) {
            case "EnrollmentConfirmed" ->
                Optional.of(outcome(header, Kind.CONFIRMED, "", "", body));
            case "EnrollmentRejected" -> Optional.of(rejected(header, body));
            case "EnrollmentCancelled" -> cancelled(header, body);
            default -> Optional.empty();
        };
    }

    private static Outcome rejected(Function<String, String> header, String body)
            throws JsonProcessingException {
        JsonNode reasons = JSON.readTree(body).path("reasons");
        var codes = new TreeSet<String>();
        reasons.forEach(reason -> codes.add(reason.path("code").asText("without_code")));
        String all = codes.isEmpty() ? "without_code" : String.join("+", codes);
        String sentence = reasons.path(0).path("detail").asText("");
        return outcome(header, Kind.REJECTED, all, sentence, body);
    }

    /** One that was confirmed before has had its outcome. */
    private static Optional<Outcome> cancelled(Function<String, String> header, String body)
            throws JsonProcessingException {
        boolean decides = "pending".equals(JSON.readTree(body).path("was").asText());
        return decides
            ? Optional.of(outcome(header, Kind.CANCELLED, "", "", body))
            : Optional.empty();
    }

    private static Outcome outcome(
            Function<String, String> header, Kind kind, String reasons, String sentence,
            String body) {
        return new Outcome(
            id(header, "ce_subject"), id(header, "ce_id"), kind, reasons, sentence, body);
    }

    private static UUID id(Function<String, String> header, String name) {
        String text = header.apply(name);
        if (text == null) {
            throw new IllegalArgumentException("the event has no header " + name);
        }
        return UUID.fromString(text);
    }
}
