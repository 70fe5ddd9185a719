Feature: Atomicity
  A request for several sections is granted as a whole or not at all.

  Scenario: One of several sections is full
    Given sections "A" with 5 seats, "B" with 5 seats and "FULL" with 1 seat
    And the seat of "FULL" is taken
    When a student asks for "A", "B" and "FULL"
    Then her enrollment is rejected, since "FULL" is full
    And "A" and "B" have all of their seats again
    And she holds nothing, so that the same time and credits are hers to use
    And nothing inconsistent is left anywhere

  Scenario: All sections have seats
    Given sections "A" with 5 seats, "B" with 5 seats and "C" with 1 seat
    When a student asks for "A", "B" and "C"
    Then her enrollment is confirmed
    And one seat each of "A", "B" and "C" is taken

  Scenario: A seat is freed, and the same is asked for again
    Given sections "A" with 5 seats, "B" with 5 seats and "FULL" with 1 seat
    And the seat of "FULL" is taken
    And a student has asked for "A", "B" and "FULL" in vain
    When the seat of "FULL" is given up
    And Redis forgets everything
    And she sends the very same request without a key
    Then her enrollment is confirmed
    And one seat each of "A", "B" and "FULL" is taken

  Scenario: Cancelled, and asked for again
    Given sections "A" with 5 seats, "B" with 5 seats and "C" with 1 seat
    And a student has "A", "B" and "C"
    When she gives them up
    And she sends the very same request without a key
    Then her enrollment is confirmed
    And one seat each of "A", "B" and "C" is taken
