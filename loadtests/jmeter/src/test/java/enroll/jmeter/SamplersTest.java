package enroll.jmeter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.TreeMap;
import org.apache.jmeter.config.Arguments;
import org.apache.jmeter.protocol.java.sampler.JavaSamplerClient;
import org.junit.jupiter.api.Test;

/** What JMeter's window shows of the samplers, and whether their page says the same. */
class SamplersTest {
    private final String page;

    SamplersTest() throws IOException {
        page = Files.readString(Path.of("SAMPLER.md"));
    }

    @Test
    void jmeterFindsEachSamplerAndThePageNamesIt() {
        var found = ServiceLoader.load(JavaSamplerClient.class).stream()
            .map(ServiceLoader.Provider::type)
            .filter(type -> type.getPackageName().equals("enroll.jmeter"))
            .toList();

        assertEquals(5, found.size());
        found.forEach(type -> assertTrue(page.contains("| `" + type.getName() + "` |")));
    }

    @Test
    void thePageHasEachParameterWithItsDefault() {
        for (var sampler : new JavaSamplerClient[] {
                new ProduceSampler(), new SagaSampler(), new SendSampler(), new CollectSampler()}) {
            Arguments defaults = sampler.getDefaultParameters();
            assertTrue(defaults.getArgumentCount() >= 2);
            defaults.getArgumentsAsMap().forEach((name, value) -> {
                String row = page.lines()
                    .filter(line -> line.startsWith("| `" + name + "` |"))
                    .findFirst()
                    .orElseThrow(() -> new AssertionError("the page has no parameter " + name));
                String shown = row.split(" \\| ")[2];
                assertEquals(value.isEmpty() ? "empty" : "`" + value + "`", shown, name);
            });
        }
    }

    @Test
    void thePageHasEachFieldOfTheLedger() throws IOException {
        var nothing = new Ledger(
            0, 0, 0, 0, new TreeMap<>(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, Optional.empty());

        new ObjectMapper().readTree(nothing.json()).fieldNames().forEachRemaining(
            name -> assertTrue(page.contains("`" + name + "`"), name));
    }
}
