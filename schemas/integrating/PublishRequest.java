import java.time.Instant;
import java.util.*;
import java.util.concurrent.*;
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
            "max.block.ms", timeoutMs); // to learn where the topic is
        var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
        try {
            var sent = producer.send(record); // done when Kafka has it
            var place = sent.get(Long.parseLong(timeoutMs), TimeUnit.MILLISECONDS);
            System.out.printf("published to partition %d at offset %d%n", place.partition(), place.offset());
            producer.close();
        } catch (ExecutionException | TimeoutException error) {
            System.err.println("Kafka did not confirm it: " + error + " Send the same again; it is harmless.");
            System.exit(1); // without close: that would wait for what cannot be sent
        }
    }
}
