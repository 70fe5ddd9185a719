"""The first schema: the machinery's tables, students, sections, claims."""

from alembic import op

from shared.migrations.machinery import MACHINERY

revision = "student_0001"
down_revision = None

TABLES = """
CREATE TABLE student (
    student_id text PRIMARY KEY,
    version bigint NOT NULL,
    is_withdrawn boolean NOT NULL,
    published text NOT NULL
);

CREATE TABLE section (
    term text NOT NULL,
    section_id text NOT NULL,
    version bigint NOT NULL,
    is_withdrawn boolean NOT NULL,
    published text NOT NULL,
    PRIMARY KEY (term, section_id)
);

CREATE TABLE claim (
    enrollment_id uuid PRIMARY KEY,
    student_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('claimed', 'refused', 'released')),
    term text,
    sections text[] NOT NULL DEFAULT '{}',
    credits integer NOT NULL DEFAULT 0 CHECK (credits >= 0),
    credit_limit integer NOT NULL DEFAULT 0,
    slots text NOT NULL DEFAULT '[]',
    decided_at timestamptz,
    released_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX claim_held ON claim (student_id, term) WHERE state = 'claimed';
"""


def upgrade() -> None:
    """Make everything."""
    for statement in (MACHINERY + TABLES).split(";\n"):
        if statement.strip():
            op.execute(statement)
