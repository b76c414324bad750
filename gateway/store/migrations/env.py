"""Alembic's entry: runs the steps on the connection that :mod:`gateway.store.schema` hands over."""

from __future__ import annotations

from alembic import context

from gateway.store.schema import configure

configure(context.configure, context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
