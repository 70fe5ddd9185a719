package enroll.jmeter;

import java.util.Properties;
import org.apache.jmeter.config.Arguments;
import org.apache.jmeter.protocol.java.sampler.JavaSamplerContext;
import org.apache.jmeter.testelement.TestElement;

/** The parameters of a Java Request: their names, their defaults, and how they are read. */
final class Parameters {
    static final String SCHEDULE = "schedule";
    static final String IDLE_SECONDS = "idle_seconds";

    private static final String SERVERS = "bootstrap_servers";
    private static final String SERVERS_PROPERTY = "kafka.bootstrap.servers";
    private static final String SERVERS_DEFAULT = "127.0.0.1:9092";
    private static final String TIMEOUT = "timeout_seconds";
    private static final String TIMEOUT_DEFAULT = "60";
    private static final String TRACE_RATIO = "trace_ratio";
    private static final String TRACE_RATIO_DEFAULT = "0.01";
    private static final double SECONDS_MAX = 24 * 3600;

    private final JavaSamplerContext context;

    Parameters(JavaSamplerContext context) {
        this.context = context;
    }

    static Arguments ofEverySampler() {
        var defaults = new Arguments();
        defaults.addArgument(
            SERVERS, "${__P(" + SERVERS_PROPERTY + "," + SERVERS_DEFAULT + ")}");
        return defaults;
    }

    static Arguments ofRequests() {
        Arguments defaults = ofEverySampler();
        defaults.addArgument("term", "");
        defaults.addArgument("student", "${student}");
        defaults.addArgument("sections", "${sections}");
        defaults.addArgument("deadline_seconds", "");
        defaults.addArgument(TIMEOUT, TIMEOUT_DEFAULT);
        defaults.addArgument(TRACE_RATIO, TRACE_RATIO_DEFAULT);
        return defaults;
    }

    String elementName() {
        return context.getParameter(TestElement.NAME, "");
    }

    Properties properties() {
        return context.getJMeterProperties();
    }

    String bootstrapServers() {
        return text(SERVERS, properties().getProperty(SERVERS_PROPERTY, SERVERS_DEFAULT));
    }

    Asked asked() throws SamplerError {
        Request request = Request.of(
            text("term", ""), text("student", ""), text("sections", ""), text("deadline_seconds", ""));
        return new Asked(request, milliseconds(TIMEOUT, TIMEOUT_DEFAULT), traceRatio());
    }

    private double traceRatio() throws SamplerError {
        String text = text(TRACE_RATIO, TRACE_RATIO_DEFAULT);
        return text.equals("0") ? 0 : Numbers.positive(TRACE_RATIO, text, 1);
    }

    long milliseconds(String name, String otherwise) throws SamplerError {
        return (long) (Numbers.positive(name, text(name, otherwise), SECONDS_MAX) * 1000);
    }

    String text(String name, String otherwise) {
        String given = context.getParameter(name, "").strip();
        return given.isEmpty() ? otherwise : given;
    }
}
