"""When the broker took each request: the row lets be measured how long its outcome took."""

from alembic import op

revision = "enrollment_0002"
down_revision = "enrollment_0001"


def upgrade() -> None:
    """Add the column; rows that there are know nothing of it."""
    op.execute("ALTER TABLE enrollment ADD COLUMN requested_at timestamptz")
