Feature: Fault tolerance
  While a part is away the rest goes on, says so at once, and recovers alone.

  Scenario: PostgreSQL is stopped
    Given a section "A" with 100 seats
    And PostgreSQL is stopped
    When reads have failed until the breaker of the database opens
    Then what needs the database is refused in less than 50 ms with Retry-After
    And a request with an Idempotency-Key is accepted
    And a request without one is refused, and told to send one
    And once PostgreSQL is back the breaker closes alone
    And the accepted request is confirmed
    And requests without a key are accepted again

  Scenario: Redis is stopped
    Given a section "A" with 100 seats
    And Redis is stopped
    When a student sends the same request 10 times at once with one Idempotency-Key
    Then all answers are the same
    And one enrollment and one seat came of it
    And once Redis is back answers are remembered again

  Scenario: Kafka is stopped
    Given a section "A" with 100 seats
    And Kafka is stopped
    When requests have failed until the breaker of Kafka opens
    Then requests are refused in less than 50 ms with Retry-After
    And what was known can still be read
    And once Kafka is back a request repeated with its key is confirmed, and counts once
