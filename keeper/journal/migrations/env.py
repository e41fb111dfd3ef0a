"""Runs the migrations on the connection that :mod:`keeper.journal.migrate` hands over; there is no other way in."""

from alembic import context

from keeper.journal.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # A journal is either migrated or untouched, whatever kills the process in between.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
