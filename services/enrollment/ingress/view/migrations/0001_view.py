"""The first schema: the machinery's tables, and what the view shows."""

from alembic import op

from shared.migrations.machinery import MACHINERY

revision = "ingress_0001"
down_revision = None

TABLES = """
CREATE TABLE viewed_enrollment (
    enrollment_id uuid PRIMARY KEY,
    student_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'confirmed', 'rejected', 'cancelled')),
    requested_at timestamptz NOT NULL,
    term text,
    sections text[] NOT NULL DEFAULT '{}',
    opened_at timestamptz,
    deadline_at timestamptz,
    decided_at timestamptz,
    stage text,
    reasons text,
    was text,
    happenings text, -- null: pruned
    refusals text,
    settled_at timestamptz,
    is_pruned boolean NOT NULL DEFAULT false -- an index over happenings would be written each time
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX viewed_enrollment_of_student
    ON viewed_enrollment (student_id, requested_at, enrollment_id);
CREATE INDEX viewed_enrollment_by_status
    ON viewed_enrollment (status, requested_at, enrollment_id);
CREATE INDEX viewed_enrollment_compensating ON viewed_enrollment (requested_at, enrollment_id)
    WHERE status IN ('rejected', 'cancelled') AND settled_at IS NULL;
CREATE INDEX viewed_enrollment_to_prune ON viewed_enrollment (settled_at)
    WHERE settled_at IS NOT NULL AND NOT is_pruned;

CREATE TABLE viewed_section (
    term text NOT NULL,
    section_id text NOT NULL,
    course_id text,
    state text NOT NULL CHECK (state IN ('open', 'closed', 'cancelled')),
    credits integer NOT NULL,
    capacity integer NOT NULL,
    version bigint, -- null: only its seats are known yet
    reserved integer NOT NULL CHECK (reserved >= 0),
    seat_sequence bigint NOT NULL,
    PRIMARY KEY (term, section_id)
) WITH (fillfactor = 50);

CREATE TABLE viewed_total (
    is_the_one boolean PRIMARY KEY DEFAULT true CHECK (is_the_one),
    pending bigint NOT NULL DEFAULT 0,
    confirmed bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO viewed_total DEFAULT VALUES;
"""


def upgrade() -> None:
    """Make everything."""
    for statement in (MACHINERY + TABLES).split(";\n"):
        if statement.strip():
            op.execute(statement)
