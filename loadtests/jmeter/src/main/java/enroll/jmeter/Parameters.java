package enroll.jmeter;

import java.util.Properties;
import org.apache.jmeter.config.Arguments;
import org.apache.jmeter.protocol.java.sampler.JavaSamplerContext;
import org.apache.jmeter.testelement.TestElement;

/** The parameters of a Java Request: their names, their defaults, and how they are read. */
final class Parameters {
    static final String SCHEDULE = "schedule";
    static final String SCHEDULE_DEFAULT = "10 for 10";
    static final String IDLE_SECONDS = "idle_seconds";
    static final String IDLE_SECONDS_DEFAULT = "5";

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
            text("term", ""),
            text("student", ""),
            text("sections", ""),
            text("deadline_seconds", ""));
        double timeoutSeconds =
            Numbers.positive(TIMEOUT, text(TIMEOUT, TIMEOUT_DEFAULT), SECONDS_MAX);
        return new Asked(request, (long) (timeoutSeconds * 1000), traceRatio());
    }

    private double traceRatio() throws SamplerError {
        String text = text(TRACE_RATIO, TRACE_RATIO_DEFAULT);
        return text.equals("0") ? 0 : Numbers.positive(TRACE_RATIO, text, 1);
    }

    long idleMs() throws SamplerError {
        String text = text(IDLE_SECONDS, IDLE_SECONDS_DEFAULT);
        return (long) (Numbers.positiveSetting(IDLE_SECONDS, text, SECONDS_MAX) * 1000);
    }

    String text(String name, String otherwise) {
        String given = context.getParameter(name, "").strip();
        return given.isEmpty() ? otherwise : given;
    }
}
