package enroll.jmeter;

/** Why a sample fails: a response code, and a sentence that says what to do. */
final class SamplerError extends Exception {
    private static final long serialVersionUID = 1L;

    final String code;
    /**
     * Whether every later sample of the thread would fail like this. It ends then, and nothing
     * else: a thread that stops the whole test may stop its tearDown Thread Group too.
     */
    final boolean endsThread;

    private SamplerError(String code, String message, boolean endsThread, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.endsThread = endsThread;
    }

    static SamplerError badParameter(String message) {
        return new SamplerError("bad_parameter", message, false, null);
    }

    /** A bad parameter that is the same for all samples of the thread. */
    static SamplerError badSetting(String message, Throwable cause) {
        return new SamplerError("bad_parameter", message, true, cause);
    }

    static SamplerError noKafka(String message, Throwable cause) {
        return new SamplerError("no_kafka", message, true, cause);
    }

    static SamplerError readingFailed(String message) {
        return new SamplerError("reading_failed", message, true, null);
    }

    static SamplerError tooManyOpen(int max) {
        String message = max + " requests wait for their outcomes or for a CollectSampler: send"
            + " fewer, add a CollectSampler, or raise the property open.max.";
        return new SamplerError("too_many_open", message, false, null);
    }
}
