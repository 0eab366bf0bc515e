"""Commands of those who keep the engine's database, and what it is made of."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import click

from app.commands.preparing import prepare
from app.orders import failures, lifecycle
from app.settings import LogLevel


@click.command(epilog="Example: DATABASE_URL=postgresql://localhost/orders order-engine migrate")
def migrate() -> None:
    """Bring the database at DATABASE_URL to this version's schema; safe to repeat."""
    from app.runtime import require
    from app.storage.migrations import migrate as upgrade
    from app.storage.revision import REVISION

    upgrade(require(prepare().database_url, "DATABASE_URL"))
    click.echo(f"The database is at revision {REVISION}.")


@click.command(epilog="Example: order-engine requeue 01928c5e-7f3a-7c1e-9d43-2b6f0a1c8e57")
@click.argument("order_id", metavar="ORDERID", type=click.UUID)
def requeue(order_id: UUID) -> None:
    """Place again what a poisoned order asked for, once its cause is removed; prints the id of the new order.

    The poisoned order stays failed. Repeating the command places nothing more.
    """
    from app.runtime import requeue_order

    accepted = asyncio.run(requeue_order(prepare(LogLevel.WARNING), order_id))
    click.echo(accepted.order_id)


def _age(_context: click.Context, _parameter: click.Parameter, text: str) -> timedelta:
    from app.storage.pruning import parse_age

    try:
        return parse_age(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(epilog="Example: order-engine prune --older-than 90d")
@click.option("--older-than", required=True, callback=_age, metavar="AGE",
              help="How long ago an order must have ended: days (90d) or weeks (12w).")  # fmt: skip
def prune(older_than: timedelta) -> None:
    """Delete orders that ended long ago, with their events, attempts and idempotency keys; prints how many.

    In small batches with pauses. It may be interrupted at any time; the next run goes on from there.
    """
    from app.runtime import require
    from app.storage.database import conninfo
    from app.storage.pruning import prune as delete

    url = require(prepare(LogLevel.WARNING).database_url, "DATABASE_URL")
    batches: list[int] = []
    try:
        asyncio.run(delete(conninfo(url, "prune"), older_than, batches.append))
    finally:
        click.echo(f"{sum(batches)} orders deleted.")


@click.command("lifecycle", epilog="Example: order-engine lifecycle --mermaid")
@click.option("--mermaid", is_flag=True, help="As a Mermaid state diagram.")
def show_lifecycle(mermaid: bool) -> None:
    """Print the lifecycle of an order: which status follows which, and when."""
    if mermaid:
        click.echo(lifecycle.mermaid())
        return
    for transition in lifecycle.TRANSITIONS:
        click.echo(f"{transition.source:<10} → {transition.target:<10} {transition.when}")


@click.command("failures", epilog="Example: order-engine failures --markdown")
@click.option("--markdown", is_flag=True, help="As a page of the documentation.")
def show_failures(markdown: bool) -> None:
    """Print every failure that an order can have: whether it is tried again, and what to do about it."""
    if markdown:
        click.echo(failures.markdown())
        return
    for code, rule in failures.RULES.items():
        click.echo(f"{code:<20} {'tried again' if rule.retryable else 'final':<12} {rule.next_action}")
