package enroll.jmeter;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Properties;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The one run of this JVM: begun by the first sample, ended with the test. */
final class Runs {
    private static final Logger LOG = LoggerFactory.getLogger(Runs.class);
    private static final String LEDGER_FILE = "ledger.file";
    private static Run current;
    private static SamplerError failure;

    private Runs() {}

    /** Give the run of the test, and begin it if this is the first sample. */
    static synchronized Run current(Parameters parameters) throws SamplerError {
        String servers = parameters.bootstrapServers();
        if (current == null) {
            current = begun(servers, parameters.properties());
        } else if (!current.bootstrapServers.equals(servers)) {
            throw SamplerError.badSetting("bootstrap_servers is \"" + servers + "\" here and \""
                + current.bootstrapServers + "\" elsewhere in the test: write the same everywhere",
                null);
        }
        return current;
    }

    /** Where one sample could not connect, the others need not wait as long to be told the same. */
    private static Run begun(String servers, Properties properties) throws SamplerError {
        if (failure != null) {
            throw failure;
        }
        try {
            requireFolder(ledgerFile(properties));
            return new Run(servers, properties);
        } catch (SamplerError error) {
            failure = error;
            throw error;
        }
    }

    /** End the run, if there is one, and write its ledger to the file that the property names. */
    static synchronized Optional<Ledger> end(Properties properties) {
        failure = null;
        if (current == null) {
            return Optional.empty();
        }
        Ledger ledger = current.end();
        current = null;
        String file = ledgerFile(properties);
        LOG.info("Ledger: {}", ledger.json());
        boolean isStopped = Thread.interrupted(); // an interrupted thread cannot write a file
        try {
            write(ledger, file);
        } finally {
            if (isStopped) {
                Thread.currentThread().interrupt();
            }
        }
        return Optional.of(ledger);
    }

    private static String ledgerFile(Properties properties) {
        return properties.getProperty(LEDGER_FILE, "");
    }

    /** Better told now than after the whole test. */
    private static void requireFolder(String file) throws SamplerError {
        if (!file.isEmpty() && !Files.isWritable(Path.of(file).toAbsolutePath().getParent())) {
            throw SamplerError.badSetting("the property " + LEDGER_FILE + " is \"" + file
                + "\": make its folder, or name a file that can be written", null);
        }
    }

    private static void write(Ledger ledger, String file) {
        if (file.isEmpty()) {
            return;
        }
        try {
            Files.writeString(Path.of(file), ledger.json() + "\n");
        } catch (IOException error) {
            throw new UncheckedIOException(
                "The ledger cannot be written to " + file + ": correct the property " + LEDGER_FILE,
                error);
        }
    }
}
