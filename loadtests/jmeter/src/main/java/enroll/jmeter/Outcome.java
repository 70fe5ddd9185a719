package enroll.jmeter;

import java.util.UUID;

/** How an enrollment was decided: the reasons of a refusal are sorted codes with + between. */
record Outcome(
        UUID enrollmentId, UUID eventId, Kind kind, String reasons, String sentence, String body) {

    enum Kind { CONFIRMED, REJECTED, CANCELLED }

    /** The response code of its sample. */
    String code() {
        return switch (kind) {
            case CONFIRMED -> "confirmed";
            case REJECTED -> "rejected:" + reasons;
            case CANCELLED -> "cancelled";
        };
    }
}
