package enroll.jmeter;

/** What one sample is to ask for, and how long to wait for what becomes of it. */
record Asked(Request request, long timeoutMs, double traceRatio) {}
