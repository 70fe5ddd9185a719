package enroll.jmeter;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.apache.jmeter.config.Arguments;
import org.apache.jmeter.protocol.java.sampler.JavaSamplerContext;
import org.apache.jmeter.samplers.SampleResult;

/** Publishes a request, and waits for its outcome. */
public final class SagaSampler extends RunSampler {
    @Override
    public Arguments getDefaultParameters() {
        return Parameters.ofRequests();
    }

    @Override
    SampleResult sample(Run run, Parameters parameters, JavaSamplerContext context)
            throws SamplerError, InterruptedException {
        Asked asked = parameters.asked();
        var ended = new CompletableFuture<Ended>();
        Run.Sending sending = run.send(asked, run.clock.millis(), ended::complete);
        context.getJMeterVariables().put("enrollment_id", sending.sent().enrollmentId.toString());
        try {
            return Results.of(ended.get()); // at its deadline at the latest
        } catch (ExecutionException error) {
            throw new IllegalStateException("an end is never an error", error);
        }
    }
}
