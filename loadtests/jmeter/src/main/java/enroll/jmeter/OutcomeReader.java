package enroll.jmeter;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads all outcomes from the end that their topic has when it is made, in a thread of its own. */
final class OutcomeReader {
    private static final Logger LOG = LoggerFactory.getLogger(OutcomeReader.class);
    private static final Duration LAST_READ_TIME_MAX = Duration.ofSeconds(10);
    private static final Duration CLOSE_TIME_MAX = Duration.ofSeconds(30);
    private static final Duration POLL_TIME_MAX = Duration.ofMillis(100);

    private final InstantSource clock;
    private final Consumer<Outcome> onOutcome;
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Thread thread = new Thread(this::readToTheEnd, "enroll-outcomes");
    private volatile boolean isClosing;
    private volatile String failure;

    /** Ask Kafka for the ends, and begin to read behind them. */
    OutcomeReader(Map<String, Object> settings, InstantSource clock, Consumer<Outcome> onOutcome)
            throws SamplerError {
        this.clock = clock;
        this.onOutcome = onOutcome;
        var bytes = new ByteArrayDeserializer();
        this.consumer = new KafkaConsumer<>(settings, bytes, bytes);
        try {
            seekEnds();
        } catch (KafkaException | SamplerError error) {
            consumer.close();
            throw error;
        }
        thread.setDaemon(true);
        thread.start();
    }

    private void seekEnds() throws SamplerError {
        List<PartitionInfo> found = consumer.partitionsFor(CloudEvent.OUTCOMES);
        if (found == null || found.isEmpty()) {
            throw SamplerError.noKafka("Kafka has no topic " + CloudEvent.OUTCOMES
                + ": start the services first (`enroll up`)", null);
        }
        List<TopicPartition> partitions = found.stream()
            .map(info -> new TopicPartition(info.topic(), info.partition()))
            .toList();
        consumer.assign(partitions);
        consumer.endOffsets(partitions).forEach(consumer::seek);
    }

    /** Why outcomes cannot be read any more. */
    Optional<String> failure() {
        return Optional.ofNullable(failure);
    }

    /** Do not wait for it. */
    void stop() {
        isClosing = true;
    }

    /** Read what is there by now, and end. */
    void close() throws InterruptedException {
        stop();
        thread.join(CLOSE_TIME_MAX.toMillis());
        if (thread.isAlive()) {
            failure = "Reading outcomes did not end in time: some may be missing.";
        }
    }

    private void readToTheEnd() {
        try (consumer) {
            while (!isClosing) {
                read();
            }
            readUntil(consumer.endOffsets(consumer.assignment()));
        } catch (KafkaException error) {
            LOG.error("Reading outcomes failed", error);
            failure = "Reading outcomes failed (" + error.getMessage() + "): some may be missing.";
        }
    }

    private void readUntil(Map<TopicPartition, Long> ends) {
        long deadlineMs = clock.millis() + LAST_READ_TIME_MAX.toMillis();
        while (ends.keySet().stream().anyMatch(one -> consumer.position(one) < ends.get(one))) {
            if (clock.millis() > deadlineMs) {
                failure = "The last outcomes could not be read in time: some may be missing.";
                return;
            }
            read();
        }
    }

    private void read() {
        for (ConsumerRecord<byte[], byte[]> found : consumer.poll(POLL_TIME_MAX)) {
            try {
                String body = found.value() == null ? "" : new String(found.value(), UTF_8);
                OutcomeParser.parse(name -> header(found, name), body).ifPresent(onOutcome);
            } catch (JsonProcessingException | IllegalArgumentException error) {
                LOG.warn("{}-{} at offset {} is no event of the contract: {}",
                    found.topic(), found.partition(), found.offset(), error.getMessage());
            }
        }
    }

    private static String header(ConsumerRecord<byte[], byte[]> found, String name) {
        Header header = found.headers().lastHeader(name);
        return header == null ? null : new String(header.value(), UTF_8);
    }
}
