"""The chain of the simulated venues, in a schema of its own."""

from __future__ import annotations

from migrations.scripts import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script("0002_simulated_chain.sql")
