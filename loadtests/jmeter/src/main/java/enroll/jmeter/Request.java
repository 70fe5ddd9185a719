package enroll.jmeter;

import java.util.HashSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.UUID;
import java.util.regex.Pattern;

/** What a student asks for, as the contract allows it. */
record Request(String term, String student, List<String> sections, OptionalDouble deadlineSeconds) {
    private static final Pattern IDENTIFIER = Pattern.compile("[A-Za-z0-9._:-]{1,64}");
    private static final Pattern BETWEEN_SECTIONS = Pattern.compile("[\\s,;]+");
    private static final int SECTIONS_MAX = 50;
    private static final double DEADLINE_SECONDS_MAX = Integer.MAX_VALUE;

    /** Read the parameters of a sampler; an empty deadline leaves it to the system. */
    static Request of(String term, String student, String sections, String deadlineSeconds)
            throws SamplerError {
        return new Request(
            identifier("term", term),
            identifier("student", student),
            sections(sections),
            deadline(deadlineSeconds));
    }

    /** Write the body; every text in it is of characters that JSON does not escape. */
    String body(UUID enrollmentId) {
        var body = new StringBuilder(200)
            .append("{\"enrollment_id\":\"").append(enrollmentId)
            .append("\",\"student_id\":\"").append(student)
            .append("\",\"term\":\"").append(term)
            .append("\",\"sections\":[\"").append(String.join("\",\"", sections)).append("\"]");
        deadlineSeconds.ifPresent(seconds -> body.append(",\"deadline_seconds\":").append(seconds));
        return body.append('}').toString();
    }

    private static String identifier(String name, String text) throws SamplerError {
        if (IDENTIFIER.matcher(text).matches()) {
            return text;
        }
        String advice = text.contains("${")
            ? "the variable has no value here; is its CSV Data Set in the plan, and its file there?"
            : "write 1 to 64 of A-Z a-z 0-9 . _ : -";
        throw SamplerError.badParameter(name + " is \"" + text + "\": " + advice);
    }

    private static List<String> sections(String text) throws SamplerError {
        List<String> sections =
            BETWEEN_SECTIONS.splitAsStream(text).filter(one -> !one.isEmpty()).toList();
        if (sections.isEmpty() || sections.size() > SECTIONS_MAX) {
            throw SamplerError.badParameter("sections has " + sections.size() + " ids: write 1 to "
                + SECTIONS_MAX + ", with spaces, commas or ; between them");
        }
        for (String section : sections) {
            identifier("sections", section);
        }
        if (new HashSet<>(sections).size() < sections.size()) {
            throw SamplerError.badParameter("sections is \"" + text + "\": name each section once");
        }
        return sections;
    }

    private static OptionalDouble deadline(String text) throws SamplerError {
        if (text.isEmpty()) {
            return OptionalDouble.empty();
        }
        double seconds = Numbers.positive("deadline_seconds", text, DEADLINE_SECONDS_MAX);
        return OptionalDouble.of(seconds);
    }
}
