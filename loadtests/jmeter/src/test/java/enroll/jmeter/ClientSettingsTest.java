package enroll.jmeter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.Properties;
import org.junit.jupiter.api.Test;

class ClientSettingsTest {
    @Test
    void everyPropertyOfKafkaReachesTheClientThatItIsFor() {
        var properties = new Properties();
        properties.setProperty("kafka.security.protocol", "SASL_SSL");
        properties.setProperty("kafka.acks", "1");
        properties.setProperty("kafka.producer.acks", "all");
        properties.setProperty("kafka.consumer.fetch.min.bytes", "7");
        properties.setProperty("kafkaesque", "x");

        var producer = ClientSettings.producer("there:1", properties);
        var consumer = ClientSettings.consumer("there:1", properties);

        assertEquals("SASL_SSL", producer.get("security.protocol"));
        assertEquals("SASL_SSL", consumer.get("security.protocol"));
        assertEquals("all", producer.get("acks"));
        assertEquals("7", consumer.get("fetch.min.bytes"));
        assertFalse(producer.containsKey("fetch.min.bytes"));
        assertEquals("there:1", producer.get("bootstrap.servers"));
        assertFalse(consumer.containsKey("group.id"));
    }
}
