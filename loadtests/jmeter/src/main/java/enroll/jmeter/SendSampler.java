package enroll.jmeter;

import java.util.OptionalLong;
import org.apache.jmeter.config.Arguments;
import org.apache.jmeter.protocol.java.sampler.JavaSamplerContext;
import org.apache.jmeter.samplers.SampleResult;

/** Publishes requests on schedule, and leaves what becomes of them to a CollectSampler. */
public final class SendSampler extends RunSampler {
    @Override
    public Arguments getDefaultParameters() {
        Arguments defaults = Parameters.ofRequests();
        defaults.addArgument(Parameters.SCHEDULE, Parameters.SCHEDULE_DEFAULT);
        return defaults;
    }

    @Override
    SampleResult sample(Run run, Parameters parameters, JavaSamplerContext context)
            throws SamplerError, InterruptedException {
        String schedule = parameters.text(Parameters.SCHEDULE, Parameters.SCHEDULE_DEFAULT);
        OptionalLong dueMs = run.pace(parameters.elementName(), schedule).nextDueMs();
        if (dueMs.isEmpty()) {
            context.getJMeterContext().getThread().stop();
            return null;
        }
        Thread.sleep(Math.max(0, dueMs.getAsLong() - run.clock.millis()));
        try {
            Run.Sending sending = run.send(parameters.asked(), dueMs.getAsLong(), run::report);
            context.getJMeterVariables()
                .put("enrollment_id", sending.sent().enrollmentId.toString());
            return null;
        } catch (SamplerError error) {
            return Results.failed(dueMs.getAsLong(), run.clock.millis(), error);
        }
    }
}
