package enroll.jmeter;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.serialization.StringSerializer;

/** Publishes requests; the partition follows from the key as in every client of the system. */
final class Publisher {
    private static final Duration CLOSE_TIME_MAX = Duration.ofSeconds(10);

    private final KafkaProducer<String, String> producer;

    /** Learn where the topic is, so that the first request need not wait for that. */
    Publisher(Map<String, Object> settings) {
        var strings = new StringSerializer();
        producer = new KafkaProducer<>(settings, strings, strings);
        try {
            producer.partitionsFor(CloudEvent.REQUESTS);
        } catch (KafkaException error) {
            producer.close(Duration.ZERO);
            throw error;
        }
    }

    /** Hand a request over; the answer is where Kafka has it, or why it did not take it. */
    CompletableFuture<RecordMetadata> publish(
            String key, String body, Map<String, String> headers) {
        var message = new ProducerRecord<>(CloudEvent.REQUESTS, key, body);
        headers.forEach((name, value) -> message.headers().add(name, value.getBytes(UTF_8)));
        var answer = new CompletableFuture<RecordMetadata>();
        try {
            producer.send(message, (place, error) -> {
                if (error == null) {
                    answer.complete(place);
                } else {
                    answer.completeExceptionally(error);
                }
            });
        } catch (KafkaException error) {
            answer.completeExceptionally(error);
        }
        return answer;
    }

    /** Wait for the last acknowledgements. */
    void close() throws InterruptedException {
        try {
            producer.close(CLOSE_TIME_MAX);
        } catch (InterruptException error) {
            throw (InterruptedException) new InterruptedException().initCause(error);
        }
    }

    /** Wait for nothing any more. */
    void stop() {
        producer.close(Duration.ZERO);
    }
}
