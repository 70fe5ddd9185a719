package enroll.jmeter;

import java.time.Instant;
import org.apache.jmeter.config.Arguments;
import org.apache.jmeter.protocol.java.sampler.AbstractJavaSamplerClient;
import org.apache.jmeter.protocol.java.sampler.JavaSamplerContext;
import org.apache.jmeter.samplers.SampleResult;

/** A sampler that takes part in the run: errors become failed samples, and the end is seen to. */
public abstract class RunSampler extends AbstractJavaSamplerClient {
    /** Make one sample, or none: null. */
    abstract SampleResult sample(Run run, Parameters parameters, JavaSamplerContext context)
        throws SamplerError, InterruptedException;

    @Override
    public Arguments getDefaultParameters() {
        return Parameters.ofEverySampler();
    }

    @Override
    public final SampleResult runTest(JavaSamplerContext context) {
        var parameters = new Parameters(context);
        long startMs = Instant.now().toEpochMilli();
        try {
            return sample(Runs.current(parameters), parameters, context);
        } catch (SamplerError error) {
            return Results.failed(startMs, Instant.now().toEpochMilli(), error);
        } catch (InterruptedException stopped) { // the test is stopped: there is nothing to tell
            Thread.currentThread().interrupt();
            return null;
        }
    }

    /** JMeter calls it when the whole test has ended, for each thread that sampled. */
    @Override
    public final void teardownTest(JavaSamplerContext context) {
        Runs.end(context.getJMeterProperties());
    }
}
