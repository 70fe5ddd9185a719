package enroll.jmeter;

import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;

/** The headers of a CloudEvent in Kafka's binary mode, as the services write them. */
final class CloudEvent {
    static final String REQUESTS = "enrollment.requests";
    static final String OUTCOMES = "enrollment.events";
    static final String SOURCE = "/loadtests/jmeter";

    private static final DateTimeFormatter MICROSECONDS = DateTimeFormatter
        .ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSSSS'+00:00'")
        .withZone(ZoneOffset.UTC);

    private CloudEvent() {}

    static Map<String, String> request(
            UUID eventId, UUID enrollmentId, Instant at, String traceparent) {
        var headers = new LinkedHashMap<String, String>();
        headers.put("ce_specversion", "1.0");
        headers.put("ce_id", eventId.toString());
        headers.put("ce_type", "EnrollmentRequested");
        headers.put("ce_source", SOURCE);
        headers.put("ce_subject", enrollmentId.toString());
        headers.put("ce_time", MICROSECONDS.format(at));
        headers.put("content-type", "application/json");
        headers.put("traceparent", traceparent);
        return headers;
    }
}
