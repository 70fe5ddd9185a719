import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Prints outcomes: ReadOutcomes.java SERVERS GROUP [SECONDS_OF_SILENCE_TO_END_AFTER]. */
public class ReadOutcomes {
    static final Set<String> OUTCOMES =
        Set.of("EnrollmentConfirmed", "EnrollmentRejected", "EnrollmentCancelled");

    public static void main(String[] args) {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", args[0],
            "group.id", args[1],
            "auto.offset.reset", "earliest",
            "enable.auto.commit", false); // or what is read counts as done before it is handled
        double silenceMillis = args.length > 2 ? Double.parseDouble(args[2]) * 1000 : 1 / 0.0;
        var handled = new HashSet<String>(); // in your system a table, written with what you do
        var strings = new StringDeserializer();
        try (var consumer = new KafkaConsumer<>(settings, strings, strings)) {
            consumer.subscribe(List.of("enrollment.events"));
            long heardAt = System.currentTimeMillis();
            while (System.currentTimeMillis() < heardAt + silenceMillis) {
                var records = consumer.poll(Duration.ofMillis(500));
                for (var record : records) {
                    String type = header(record, "ce_type");
                    if (OUTCOMES.contains(type) && handled.add(header(record, "ce_id")))
                        System.out.println(type + " " + record.value()); // JSON, with the reasons
                    heardAt = System.currentTimeMillis();
                }
                consumer.commitSync(); // after all of them are handled
            }
        }
    }

    static String header(ConsumerRecord<String, String> record, String name) {
        return new String(record.headers().lastHeader(name).value());
    }
}
