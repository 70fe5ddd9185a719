package enroll.jmeter;

/** Reads numbers that people write. */
final class Numbers {
    private Numbers() {}

    static double positive(String name, String text, double max) throws SamplerError {
        try {
            double number = Double.parseDouble(text);
            if (number > 0 && number <= max) {
                return number;
            }
        } catch (NumberFormatException error) {
            throw wrong(name, text, max);
        }
        throw wrong(name, text, max);
    }

    /** Read one that is the same for all samples of the thread. */
    static double positiveSetting(String name, String text, double max) throws SamplerError {
        try {
            return positive(name, text, max);
        } catch (SamplerError error) {
            throw SamplerError.badSetting(error.getMessage(), error);
        }
    }

    private static SamplerError wrong(String name, String text, double max) {
        return SamplerError.badParameter(
            name + " is \"" + text + "\": write a number greater than 0, at most " + (long) max);
    }
}
