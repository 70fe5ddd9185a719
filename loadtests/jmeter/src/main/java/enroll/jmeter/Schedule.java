package enroll.jmeter;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** When each request is due: stages of a rate, or of one that changes evenly. */
record Schedule(List<Stage> stages) {
    private static final String NUMBER = "(\\d+(?:\\.\\d+)?)";
    private static final Pattern STAGE =
        Pattern.compile(NUMBER + "(?:\\.\\." + NUMBER + ")?\\s+for\\s+" + NUMBER);
    private static final int STAGES_MAX = 1000;
    private static final double RATE_MAX = 100_000;
    private static final double SECONDS_MAX = 7 * 24 * 3600;
    private static final double ROUNDING = 1e-6;

    /** Requests a second, from the beginning to the end of so many seconds. */
    record Stage(double from, double to, double seconds) {
        double requests() {
            return (from + to) / 2 * seconds;
        }

        /** After how many seconds of the stage so many requests are due. */
        double secondsUntil(double requests) {
            double growth = (to - from) / seconds;
            if (growth == 0) {
                return requests / from;
            }
            double reached = Math.sqrt(Math.max(0, from * from + 2 * growth * requests));
            return (reached - from) / growth;
        }
    }

    /** Read `0..300 for 30, 300 for 60`. */
    static Schedule parse(String text) throws SamplerError {
        var stages = new ArrayList<Stage>();
        for (String part : text.split(",", STAGES_MAX + 1)) {
            stages.add(stage(part.strip(), text));
        }
        if (new Schedule(stages).count() == 0) {
            throw wrong(text);
        }
        return new Schedule(List.copyOf(stages));
    }

    private static Stage stage(String part, String text) throws SamplerError {
        Matcher found = STAGE.matcher(part);
        if (!found.matches()) {
            throw wrong(text);
        }
        double from = Double.parseDouble(found.group(1));
        double to = found.group(2) == null ? from : Double.parseDouble(found.group(2));
        double seconds = Double.parseDouble(found.group(3));
        if (Math.max(from, to) > RATE_MAX || seconds <= 0 || seconds > SECONDS_MAX) {
            throw wrong(text);
        }
        return new Stage(from, to, seconds);
    }

    private static SamplerError wrong(String text) {
        return SamplerError.badSetting("schedule is \"" + text + "\": write requests a second and"
            + " for how many seconds, such as 100 for 30, or 0..300 for 30, 300 for 60", null);
    }

    /** How many requests it has. */
    long count() {
        double all = stages.stream().mapToDouble(Stage::requests).sum();
        return (long) Math.ceil(all - ROUNDING);
    }

    /** Milliseconds from the start until the request of this number, from 0, is due. */
    long dueMs(long number) {
        double left = number;
        double seconds = 0;
        for (Stage stage : stages) {
            if (left < stage.requests() - ROUNDING) {
                return (long) ((seconds + stage.secondsUntil(left)) * 1000);
            }
            left -= stage.requests();
            seconds += stage.seconds();
        }
        throw new IllegalArgumentException("the schedule has no request " + number);
    }
}
