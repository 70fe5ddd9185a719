import java.time.Instant;
import java.util.*;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.StringSerializer;

/** Publishes a request: PublishRequest.java SERVERS ENROLLMENT_ID STUDENT_ID TERM SECTION_ID... */
public class PublishRequest {
    public static void main(String[] args) throws InterruptedException {
        String enrollmentId = args[1], studentId = args[2], term = args[3];
        String sections = String.join("\", \"", Arrays.asList(args).subList(4, args.length));
        String body = """
            {"enrollment_id": "%s", "student_id": "%s", "term": "%s", "sections": ["%s"]}
            """.formatted(enrollmentId, studentId, term, sections);
        var record = new ProducerRecord<>("enrollment.requests", studentId, body);
        Map.of(
            "ce_specversion", "1.0",
            "ce_id", UUID.randomUUID().toString(),
            "ce_type", "EnrollmentRequested",
            "ce_source", "/your-system",
            "ce_subject", enrollmentId,
            "ce_time", Instant.now().toString()
        ).forEach((name, value) -> record.headers().add(name, value.getBytes()));
        String timeoutMs = System.getenv().getOrDefault("TIMEOUT_MS", "30000");
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", args[0], "enable.idempotence", true, "acks", "all",
            "linger.ms", 0, // the time for the delivery must hold it and the time for a request
            "max.block.ms", timeoutMs, "request.timeout.ms", timeoutMs, "delivery.timeout.ms", timeoutMs);
        var strings = new StringSerializer();
        try (var producer = new KafkaProducer<>(settings, strings, strings)) {
            var place = producer.send(record).get(); // returns when Kafka has it
            System.out.printf("published to partition %d at offset %d%n", place.partition(), place.offset());
        } catch (ExecutionException error) {
            System.err.println("Kafka did not confirm it: " + error.getCause().getMessage()
                + " Send the same again; it is harmless.");
            System.exit(1);
        }
    }
}
