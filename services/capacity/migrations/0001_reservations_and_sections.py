"""The first schema: the machinery's tables, sections, reservations."""

from alembic import op

from shared.migrations.machinery import MACHINERY

revision = "capacity_0001"
down_revision = None

TABLES = """
CREATE TABLE section (
    term text NOT NULL,
    section_id text NOT NULL,
    version bigint NOT NULL DEFAULT -1, -- -1: made for its lock and not published yet
    capacity integer NOT NULL DEFAULT 0 CHECK (capacity >= 0),
    state text NOT NULL DEFAULT 'closed' CHECK (state IN ('open', 'closed', 'cancelled')),
    reserved integer NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    seat_sequence bigint NOT NULL DEFAULT 0 CHECK (seat_sequence >= 0),
    PRIMARY KEY (term, section_id)
) WITH (fillfactor = 50);

CREATE TABLE reservation (
    enrollment_id uuid PRIMARY KEY,
    student_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('reserved', 'refused', 'released')),
    is_answered boolean NOT NULL DEFAULT false,
    term text,
    sections text[] NOT NULL DEFAULT '{}',
    decided_at timestamptz,
    released_at timestamptz
) WITH (fillfactor = 80);
"""


def upgrade() -> None:
    """Make everything."""
    for statement in (MACHINERY + TABLES).split(";\n"):
        if statement.strip():
            op.execute(statement)
