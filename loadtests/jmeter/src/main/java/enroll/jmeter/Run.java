package enroll.jmeter;

import java.time.InstantSource;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigException;

/** What the samplers of one test share: a clock, a producer, a reader of outcomes, and a book. */
final class Run {
    private static final long TICK_MS = 20;
    private static final String OPEN_MAX = "open.max";

    final String bootstrapServers;
    final InstantSource clock = new MonotonicClock();
    private final Book book = new Book(clock);
    private final LinkedBlockingQueue<Ended> unreported = new LinkedBlockingQueue<>();
    private final Map<String, Pace> paces = new ConcurrentHashMap<>();
    private final ScheduledExecutorService deadlines =
        Executors.newSingleThreadScheduledExecutor(Run::daemon);
    private final int openMax;
    private final OutcomeReader reader;
    private final Publisher publisher;
    private volatile long lastSentMs = clock.millis();

    /** One that was handed over: what will become of it is told to whoever sent it. */
    record Sending(Sent sent, CompletableFuture<RecordMetadata> acknowledgement) {}

    /** Connect: the reader first, so that it misses no outcome. */
    Run(String bootstrapServers, Properties properties) throws SamplerError {
        this.bootstrapServers = bootstrapServers;
        openMax = (int) Numbers.positiveSetting(
            OPEN_MAX, properties.getProperty(OPEN_MAX, "100000"), Integer.MAX_VALUE);
        var forReader = ClientSettings.consumer(bootstrapServers, properties);
        var forPublisher = ClientSettings.producer(bootstrapServers, properties);
        try {
            reader = new OutcomeReader(forReader, clock, book::heard);
        } catch (KafkaException error) {
            throw explained(error);
        }
        try {
            publisher = new Publisher(forPublisher);
        } catch (KafkaException error) {
            reader.stop();
            throw explained(error);
        }
        deadlines.scheduleAtFixedRate(book::expire, TICK_MS, TICK_MS, TimeUnit.MILLISECONDS);
    }

    private SamplerError explained(KafkaException error) {
        String why = error.getCause() == null
            ? error.getMessage()
            : error.getMessage() + ": " + error.getCause().getMessage();
        if (error instanceof ConfigException || error.getCause() instanceof ConfigException) {
            return SamplerError.badSetting("Kafka's client does not take its settings (" + why
                + "): correct bootstrap_servers, or the properties kafka.*", error);
        }
        return SamplerError.noKafka("Kafka does not answer at " + bootstrapServers + " (" + why
            + "): start it (`enroll up`, `enroll status` names its address), give its address with"
            + " -Jkafka.bootstrap.servers=HOST:PORT, and what it asks of clients with -Jkafka.…",
            error);
    }

    private static Thread daemon(Runnable task) {
        var thread = new Thread(task, "enroll-deadlines");
        thread.setDaemon(true);
        return thread;
    }

    /** Publish a request, and tell `onEnd` once what became of it. */
    Sending send(Asked asked, long intendedMs, Consumer<Ended> onEnd) throws SamplerError {
        var failure = reader.failure();
        if (failure.isPresent()) {
            throw SamplerError.readingFailed(failure.get());
        }
        if (book.openCount() + unreported.size() >= openMax) {
            book.notSent();
            throw SamplerError.tooManyOpen(openMax);
        }
        Sent sent = sent(asked, intendedMs, onEnd);
        book.sent(sent);
        lastSentMs = clock.millis();
        var headers = CloudEvent.request(
            UUID.randomUUID(), sent.enrollmentId, clock.instant(), sent.traceparent);
        var answer = publisher.publish(asked.request().student(), sent.body, headers);
        return new Sending(sent, answer.whenComplete((place, error) -> {
            if (error == null) {
                book.acknowledged(sent);
            } else {
                book.unacknowledged(sent, "Kafka did not take it (" + error + ").");
            }
        }));
    }

    private Sent sent(Asked asked, long intendedMs, Consumer<Ended> onEnd) {
        UUID id = UUID.randomUUID();
        String traceparent = Traceparent.begin(ThreadLocalRandom.current(), asked.traceRatio());
        long deadlineMs = clock.millis() + asked.timeoutMs();
        return new Sent(id, asked.request().body(id), traceparent, intendedMs, deadlineMs, onEnd);
    }

    /** Put what became of a request where a CollectSampler takes it. */
    void report(Ended ended) {
        unreported.add(ended);
    }

    /** Take one; null if none comes in time. */
    Ended nextReport(long waitMs) throws InterruptedException {
        return unreported.poll(waitMs, TimeUnit.MILLISECONDS);
    }

    /** True once nothing was sent for so long, and nothing more can come of what was. */
    boolean isIdle(long idleMs) {
        return clock.millis() - lastSentMs > idleMs
            && book.openCount() == 0
            && unreported.isEmpty();
    }

    /** The pace of one sampler of the plan; it begins when first asked for. */
    Pace pace(String sampler, String schedule) throws SamplerError {
        Schedule parsed = Schedule.parse(schedule);
        return paces.computeIfAbsent(
            sampler + "\n" + schedule, name -> new Pace(parsed, clock.millis()));
    }

    /** Wait until every request has its outcome or its deadline, and give the counts. */
    Ledger end() {
        try {
            while (book.openCount() > 0) { // each ends at its deadline at the latest
                Thread.sleep(TICK_MS);
            }
            publisher.close();
            reader.close();
        } catch (InterruptedException stopped) { // the ledger tells what is open
            Thread.currentThread().interrupt();
        } finally {
            publisher.stop();
            reader.stop();
            deadlines.shutdown();
        }
        return book.ledger(unreported.size(), reader.failure());
    }
}
