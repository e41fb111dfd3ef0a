"""Alembic's environment, shipped inside the package and run when a journal is opened."""
