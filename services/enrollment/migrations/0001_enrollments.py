"""The first schema: the machinery's tables, enrollments, conflicts."""

from alembic import op

from shared.migrations.machinery import MACHINERY

revision = "enrollment_0001"
down_revision = None

TABLES = """
CREATE TABLE enrollment (
    enrollment_id uuid PRIMARY KEY,
    state text NOT NULL CHECK (
        state IN ('unopened', 'pending', 'confirmed', 'rejected', 'cancelled')),
    student_id text NOT NULL,
    term text,
    sections text[] NOT NULL DEFAULT '{}',
    body_sha256 bytea,
    opened_at timestamptz,
    deadline_at timestamptz,
    decided_at timestamptz,
    stage text,
    reasons text,
    cancelled_by text[] NOT NULL DEFAULT '{}',
    cancel_reason text,
    traceparent text
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX enrollment_pending ON enrollment (deadline_at) WHERE state = 'pending';
CREATE INDEX enrollment_unopened ON enrollment (decided_at) WHERE state = 'unopened';

CREATE TABLE conflict (
    enrollment_id uuid NOT NULL,
    student_id text NOT NULL,
    kind text NOT NULL,
    body_sha256 bytea NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (enrollment_id, student_id, kind, body_sha256)
);
"""


def upgrade() -> None:
    """Make everything."""
    for statement in (MACHINERY + TABLES).split(";\n"):
        if statement.strip():
            op.execute(statement)
