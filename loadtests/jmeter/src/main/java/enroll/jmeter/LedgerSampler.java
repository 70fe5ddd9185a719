package enroll.jmeter;

import java.time.Instant;
import java.util.Optional;
import org.apache.jmeter.protocol.java.sampler.AbstractJavaSamplerClient;
import org.apache.jmeter.protocol.java.sampler.JavaSamplerContext;
import org.apache.jmeter.samplers.SampleResult;

/** Ends the run, writes its ledger, and fails where that does not add up. */
public final class LedgerSampler extends AbstractJavaSamplerClient {
    @Override
    public SampleResult runTest(JavaSamplerContext context) {
        long startMs = Instant.now().toEpochMilli();
        Optional<Ledger> ledger = Runs.end(context.getJMeterProperties());
        return Results.judged(startMs, Instant.now().toEpochMilli(), ledger);
    }
}
