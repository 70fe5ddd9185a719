package enroll.jmeter;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;

/** The counts of a run, and whether they add up. */
record Ledger(
        long sent,
        long acknowledged,
        long confirmed,
        long rejected,
        SortedMap<String, Long> rejectedByReason,
        long cancelled,
        long timedOut,
        long unacknowledged,
        long open,
        long unreported,
        long repeated,
        long duplicates,
        long late,
        long unacknowledgedDecided,
        long foreign,
        long notSent,
        long sendDelayMsMax,
        Optional<String> readingFailure) {

    boolean addsUp() {
        return problems().isEmpty();
    }

    /** A sentence for each thing that does not add up. */
    List<String> problems() {
        var found = new ArrayList<String>();
        long ended = confirmed + rejected + cancelled + timedOut + unacknowledged;
        if (sent != ended) {
            found.add(sent + " requests were sent and " + ended + " have ended.");
        }
        long explained = rejectedByReason.values().stream().mapToLong(Long::longValue).sum();
        if (rejected != explained) {
            found.add(rejected + " were rejected, and " + explained + " for a known reason.");
        }
        if (acknowledged + unacknowledged > sent) {
            found.add("More acknowledgements came than requests were sent.");
        }
        if (open > 0) {
            found.add(open + " were still open when the test ended.");
        }
        if (unreported > 0) {
            found.add(unreported + " ended and have no sample:"
                + " no CollectSampler was there, or it had ended before.");
        }
        if (duplicates > 0) {
            found.add(duplicates + " outcomes came for enrollments that had one already.");
        }
        readingFailure.ifPresent(found::add);
        return found;
    }

    String json() {
        var fields = new LinkedHashMap<String, Object>();
        fields.put("sent", sent);
        fields.put("acknowledged", acknowledged);
        fields.put("confirmed", confirmed);
        fields.put("rejected", rejected);
        fields.put("rejected_by_reason", rejectedByReason);
        fields.put("cancelled", cancelled);
        fields.put("timed_out", timedOut);
        fields.put("unacknowledged", unacknowledged);
        fields.put("open", open);
        fields.put("unreported", unreported);
        fields.put("repeated", repeated);
        fields.put("duplicates", duplicates);
        fields.put("late", late);
        fields.put("unacknowledged_decided", unacknowledgedDecided);
        fields.put("foreign", foreign);
        fields.put("not_sent", notSent);
        fields.put("send_delay_ms_max", sendDelayMsMax);
        fields.put("adds_up", addsUp());
        fields.put("problems", problems());
        try {
            return new ObjectMapper().writeValueAsString(fields);
        } catch (JsonProcessingException error) {
            throw new IllegalStateException("numbers and texts are always JSON", error);
        }
    }
}
