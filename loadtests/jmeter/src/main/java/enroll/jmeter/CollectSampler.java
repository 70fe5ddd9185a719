package enroll.jmeter;

import org.apache.jmeter.config.Arguments;
import org.apache.jmeter.protocol.java.sampler.JavaSamplerContext;
import org.apache.jmeter.samplers.SampleResult;

/** Gives a sample for each request of a SendSampler, from the moment at which it was due. */
public final class CollectSampler extends RunSampler {
    private static final long WAIT_MS = 100;

    @Override
    public Arguments getDefaultParameters() {
        Arguments defaults = Parameters.ofEverySampler();
        defaults.addArgument(Parameters.IDLE_SECONDS, Parameters.IDLE_SECONDS_DEFAULT);
        return defaults;
    }

    @Override
    SampleResult sample(Run run, Parameters parameters, JavaSamplerContext context)
            throws SamplerError, InterruptedException {
        long idleMs = parameters.idleMs();
        Ended ended = run.nextReport(WAIT_MS);
        if (ended != null) {
            return Results.of(ended);
        }
        if (run.isIdle(idleMs)) {
            context.getJMeterContext().getThread().stop();
        }
        return null;
    }
}
