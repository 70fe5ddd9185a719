package enroll.jmeter;

import java.util.concurrent.ExecutionException;
import org.apache.jmeter.config.Arguments;
import org.apache.jmeter.protocol.java.sampler.JavaSamplerContext;
import org.apache.jmeter.samplers.SampleResult;

/** Publishes a request, and waits until Kafka has it; its outcome is counted in the ledger. */
public final class ProduceSampler extends RunSampler {
    @Override
    public Arguments getDefaultParameters() {
        return Parameters.ofRequests();
    }

    @Override
    SampleResult sample(Run run, Parameters parameters, JavaSamplerContext context)
            throws SamplerError, InterruptedException {
        Asked asked = parameters.asked();
        Run.Sending sending = run.send(asked, run.clock.millis(), ended -> { });
        context.getJMeterVariables().put("enrollment_id", sending.sent().enrollmentId.toString());
        try {
            var place = sending.acknowledgement().get(); // bounded by Kafka's delivery.timeout.ms
            long nowMs = run.clock.millis();
            return Results.published(sending.sent(), nowMs, place.partition(), place.offset());
        } catch (ExecutionException error) {
            String why = "Kafka did not take it (" + error.getCause() + ").";
            return Results.of(Ended.failed(
                sending.sent(), run.clock.millis(), Ended.UNACKNOWLEDGED, why));
        }
    }
}
