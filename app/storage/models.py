"""The ledger's tables as advanced-alchemy models: what list reads select, and what migrations are checked against."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import UUID

from advanced_alchemy.base import CommonTableAttributes, create_registry
from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Enum,
    ForeignKey,
    Integer,
    LargeBinary,
    Numeric,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.orders.lifecycle import Status

BaseUnits = Numeric(20, 0)
Time = TIMESTAMP(timezone=True)
StatusType = Enum(
    Status, name="order_status", values_callable=lambda statuses: [status.value for status in statuses]
)
OutcomeType = Enum("landed", "failed", "expired", name="attempt_outcome")


class Base(CommonTableAttributes, DeclarativeBase):
    registry = create_registry()


class TransitionRow(Base):
    __tablename__ = "order_transitions"

    source: Mapped[Status] = mapped_column(StatusType, primary_key=True)
    target: Mapped[Status] = mapped_column(StatusType, primary_key=True)
    description: Mapped[str] = mapped_column(Text)


class OrderRow(Base):
    __tablename__ = "orders"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    type: Mapped[str] = mapped_column(Text)
    token_in: Mapped[str] = mapped_column(Text)
    token_out: Mapped[str] = mapped_column(Text)
    amount_in: Mapped[Decimal] = mapped_column(BaseUnits)
    slippage_bps: Mapped[int] = mapped_column(Integer)
    wallet: Mapped[str | None] = mapped_column(Text)
    scenario: Mapped[str | None] = mapped_column(Text)
    status: Mapped[Status] = mapped_column(StatusType)
    sequence: Mapped[int] = mapped_column(Integer)
    is_open: Mapped[bool]
    queued_at: Mapped[dt.datetime | None] = mapped_column(Time)
    fence: Mapped[int] = mapped_column(Integer)
    claimed_by: Mapped[int | None] = mapped_column(BigInteger)
    deaths: Mapped[int] = mapped_column(Integer)
    attempt: Mapped[int] = mapped_column(Integer)
    next_attempt_at: Mapped[dt.datetime | None] = mapped_column(Time)
    venue: Mapped[str | None] = mapped_column(Text)
    fee_bps: Mapped[int | None] = mapped_column(Integer)
    quoted_out: Mapped[Decimal | None] = mapped_column(BaseUnits)
    min_out: Mapped[Decimal | None] = mapped_column(BaseUnits)
    signature: Mapped[str | None] = mapped_column(Text)
    amount_out: Mapped[Decimal | None] = mapped_column(BaseUnits)
    failure_code: Mapped[str | None] = mapped_column(Text)
    failure_message: Mapped[str | None] = mapped_column(Text)
    funds_moved: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[dt.datetime] = mapped_column(Time)
    updated_at: Mapped[dt.datetime] = mapped_column(Time)


class OrderEventRow(Base):
    __tablename__ = "order_events"

    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    previous: Mapped[Status | None] = mapped_column(StatusType)
    status: Mapped[Status] = mapped_column(StatusType)
    data: Mapped[dict[str, object]] = mapped_column(JSONB)
    at: Mapped[dt.datetime] = mapped_column(Time)
    position: Mapped[int] = mapped_column(BigInteger)


class LogHorizonRow(Base):
    __tablename__ = "order_log_horizon"

    position: Mapped[int] = mapped_column(BigInteger)
    is_only: Mapped[bool] = mapped_column(primary_key=True)


class OrderAttemptRow(Base):
    __tablename__ = "order_attempts"

    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    venue: Mapped[str] = mapped_column(Text)
    signature: Mapped[str] = mapped_column(Text, unique=True)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    min_out: Mapped[Decimal] = mapped_column(BaseUnits)
    last_valid_height: Mapped[int] = mapped_column(BigInteger)
    outcome: Mapped[str | None] = mapped_column(OutcomeType)
    stored_at: Mapped[dt.datetime] = mapped_column(Time)
    resolved_at: Mapped[dt.datetime | None] = mapped_column(Time)
