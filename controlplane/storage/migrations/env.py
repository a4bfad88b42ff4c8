"""Alembic's entry: migrate over the connection that `controlplane.storage.migrating` opened."""

from alembic import context

from controlplane.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
