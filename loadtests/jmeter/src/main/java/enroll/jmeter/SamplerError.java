package enroll.jmeter;

/** Why a sample fails: a response code, a sentence that says what to do, and what stops. */
final class SamplerError extends Exception {
    private static final long serialVersionUID = 1L;

    /** What must not go on, since it would only fail the same way again. */
    enum Stops { NOTHING, THREAD, TEST }

    final String code;
    final Stops stops;

    private SamplerError(String code, String message, Stops stops, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.stops = stops;
    }

    static SamplerError badParameter(String message) {
        return new SamplerError("bad_parameter", message, Stops.NOTHING, null);
    }

    static SamplerError badSchedule(String message) {
        return new SamplerError("bad_parameter", message, Stops.THREAD, null);
    }

    static SamplerError badSettings(String message, Throwable cause) {
        return new SamplerError("bad_parameter", message, Stops.TEST, cause);
    }

    static SamplerError noKafka(String message, Throwable cause) {
        return new SamplerError("no_kafka", message, Stops.TEST, cause);
    }

    static SamplerError readingFailed(String message) {
        return new SamplerError("reading_failed", message, Stops.TEST, null);
    }

    static SamplerError tooManyOpen(int max) {
        String message = max + " requests wait for their outcomes or for a CollectSampler: send"
            + " fewer, add a CollectSampler, or raise the property open.max.";
        return new SamplerError("too_many_open", message, Stops.NOTHING, null);
    }
}
