"""The ledger, on top of procrastinate's schema."""

from __future__ import annotations

from migrations.scripts import apply_procrastinate, run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    apply_procrastinate()
    run_script("0001_ledger.sql")
