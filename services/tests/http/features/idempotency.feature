Feature: Idempotency
  The same request, however often it is sent, is decided once.

  Scenario: The same request many times at the same moment, with a key
    Given a section "A" with 100 seats
    When a student sends the same request 40 times at once with one Idempotency-Key
    Then all answers are the same
    And one enrollment and one seat came of it
    And no database holds anything twice

  Scenario: The same request many times at the same moment, without a key
    Given a section "A" with 100 seats
    When a student sends the same request 40 times at once without a key
    Then all answers are the same
    And one enrollment and one seat came of it
    And no database holds anything twice

  Scenario: The same request while Redis forgets everything
    Given a section "A" with 100 seats
    When a student sends the same request 40 times with one Idempotency-Key while Redis is flushed
    Then all answers are the same
    And one enrollment and one seat came of it
    And no database holds anything twice

  Scenario: The same key for something else
    Given a section "A" with 100 seats
    When a student sends a request with an Idempotency-Key
    And she sends another request with the same Idempotency-Key
    Then the other one is refused, since its key was used
    And one enrollment and one seat came of it
