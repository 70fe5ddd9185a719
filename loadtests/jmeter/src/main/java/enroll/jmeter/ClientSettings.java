package enroll.jmeter;

import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

/** The settings of Kafka's clients: what the sampler needs, then what the properties say. */
final class ClientSettings {
    private static final String BOTH = "kafka.";
    private static final String PRODUCER = "kafka.producer.";
    private static final String CONSUMER = "kafka.consumer.";

    private ClientSettings() {}

    static Map<String, Object> producer(String bootstrapServers, Properties properties) {
        var settings = new HashMap<String, Object>(Map.of(
            "acks", "all",
            "enable.idempotence", "true",
            "compression.type", "lz4",
            "linger.ms", "1",
            "max.block.ms", "10000",
            "client.id", "enroll-jmeter"));
        settings.putAll(named(properties, PRODUCER));
        settings.put("bootstrap.servers", bootstrapServers);
        return settings;
    }

    static Map<String, Object> consumer(String bootstrapServers, Properties properties) {
        var settings = new HashMap<String, Object>(Map.of(
            "enable.auto.commit", "false",
            "auto.offset.reset", "none", // what is lost is told, not skipped
            "allow.auto.create.topics", "false",
            "default.api.timeout.ms", "10000",
            "client.id", "enroll-jmeter"));
        settings.putAll(named(properties, CONSUMER));
        settings.put("bootstrap.servers", bootstrapServers);
        return settings;
    }

    /** Those of both clients, then those of one, each without its prefix. */
    private static Map<String, String> named(Properties properties, String prefixOfOne) {
        var found = new HashMap<String, String>();
        for (String name : properties.stringPropertyNames()) {
            if (name.startsWith(BOTH) && !name.startsWith(PRODUCER) && !name.startsWith(CONSUMER)) {
                found.put(name.substring(BOTH.length()), properties.getProperty(name));
            }
        }
        for (String name : properties.stringPropertyNames()) {
            if (name.startsWith(prefixOfOne)) {
                found.put(name.substring(prefixOfOne.length()), properties.getProperty(name));
            }
        }
        return found;
    }
}
