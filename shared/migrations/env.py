"""Runs the migrations of whichever service's folder the configuration names."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
