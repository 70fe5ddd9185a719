package enroll.jmeter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ScheduleTest {
    @Test
    void anEvenRateIsDueInEvenSteps() throws SamplerError {
        Schedule schedule = Schedule.parse("100 for 30");

        assertEquals(3000, schedule.count());
        assertEquals(0, schedule.dueMs(0));
        assertEquals(10, schedule.dueMs(1));
        assertEquals(29_990, schedule.dueMs(2999));
    }

    @Test
    void aRisingRateIsDueWhenItsAreaIsFull() throws SamplerError {
        Schedule schedule = Schedule.parse("0..100 for 10");

        assertEquals(500, schedule.count());
        assertEquals(5000, schedule.dueMs(125)); // 100 / 10 / 2 * 5 * 5
    }

    @Test
    void aFallingRateEndsWithItsStage() throws SamplerError {
        Schedule schedule = Schedule.parse("100..0 for 10");

        assertEquals(500, schedule.count());
        assertEquals(5000, schedule.dueMs(375));
        assertTrue(schedule.dueMs(499) <= 10_000);
    }

    @Test
    void stagesFollowOneAnotherAlsoBehindAPause() throws SamplerError {
        Schedule schedule = Schedule.parse("10 for 2, 0 for 5, 20 for 1");

        assertEquals(40, schedule.count());
        assertEquals(1900, schedule.dueMs(19));
        assertEquals(7000, schedule.dueMs(20));
        assertEquals(7950, schedule.dueMs(39));
    }

    @Test
    void noRequestIsDueBeforeTheOneBeforeIt() throws SamplerError {
        Schedule schedule = Schedule.parse("0.5 for 3, 0..37 for 7.5, 37..2 for 4, 3 for 1");

        long[] due = LongStream.range(0, schedule.count()).map(schedule::dueMs).toArray();

        for (int number = 1; number < due.length; number++) {
            assertTrue(due[number - 1] <= due[number], "request " + number);
        }
        assertTrue(due[due.length - 1] <= 15_500);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "100", "100 for", "-1 for 3", "0 for 3", "1 for 0", "fast for 3",
        "1 for 3,", "1..2..3 for 4", "1000000 for 1"})
    void whatIsNoScheduleIsRefusedWithAnExample(String text) {
        var error = assertThrows(SamplerError.class, () -> Schedule.parse(text));

        assertEquals("bad_parameter", error.code);
        assertTrue(error.endsThread);
        assertTrue(error.getMessage().contains("100 for 30"), error.getMessage());
    }

    @Test
    void threadsShareOnePace() throws SamplerError {
        var pace = new Pace(Schedule.parse("10 for 0.3"), 1_000_000);

        long[] due = LongStream.range(0, 3).map(n -> pace.nextDueMs().orElseThrow()).toArray();

        assertEquals(1_000_000, due[0]);
        assertEquals(1_000_200, due[2]);
        assertTrue(pace.nextDueMs().isEmpty());
    }
}
