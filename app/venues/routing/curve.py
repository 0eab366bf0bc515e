"""What a pool gives for every input, as pieces that each are a constant product or a straight line.

A piece that begins at the marginal price P (output per input) and bends by κ gives P·t / (1 + κ·t) for an input t, and
its marginal price is then P / (1 + κ·t)². A constant product is one piece, κ one over its virtual reserve; a bin has
κ = 0. Such pieces stay such pieces when a curve feeds another and when several share an input, so that a whole network
of pools is one curve. Where a curve stands is told by s = 1/√(marginal price): along a piece the input is linear in s,
t = (s·√P − 1)/κ, which makes the best split of an amount a linear equation.

Floating point is right here: this finds where to look, and what is looked at is computed in integers.

Sources: Angeris, Evans, Chitra, Boyd, Optimal Routing for Constant Function Market Makers (2022), section 3: parts are
best where all pools that are used have one marginal price; for constant products the closed form is the equation above,
Σ (s·√Pᵢ − 1)/κᵢ = amount.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_NOTHING: Final = 1e-9  # base units


class Piece(NamedTuple):
    start: float  # s where it begins
    bend: float  # κ
    length: float  # input that it takes, base units

    @property
    def end(self) -> float:
        return self.start * (1 + self.bend * self.length)

    def output(self, amount: float) -> float:
        return amount / (self.start * self.start * (1 + self.bend * amount))


class Curve:
    """Pieces in order, the best price first."""

    __slots__ = ("capacity", "inputs", "outputs", "pieces", "starts")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = _concave(pieces)
        self.starts = [piece.start for piece in self.pieces]
        self.inputs: list[float] = []  # before each piece
        self.outputs: list[float] = []
        taken = given = 0.0
        for piece in self.pieces:
            self.inputs.append(taken)
            self.outputs.append(given)
            taken += piece.length
            given += piece.output(piece.length)
        self.capacity = taken

    def input_at(self, s: float) -> float:
        """The least input that brings the marginal price there."""
        at = bisect_left(self.starts, s) - 1
        if at < 0:
            return 0.0
        start, bend, length = self.pieces[at]
        reached = (s / start - 1) / bend if bend else length
        return self.inputs[at] + (reached if reached < length else length)  # noqa: FURB136  # min() takes longer

    def flat_at(self, s: float) -> float:
        """How much more it takes without leaving that price."""
        first, last = bisect_left(self.starts, s), bisect_right(self.starts, s)
        return sum(piece.length for piece in self.pieces[first:last] if not piece.bend)

    def output(self, amount: float) -> float:
        at = bisect_right(self.inputs, amount) - 1
        if at < 0:
            return 0.0
        piece = self.pieces[at]
        return self.outputs[at] + piece.output(min(amount - self.inputs[at], piece.length))

    def up_to(self, capacity: float) -> Curve:
        """What is left of it for amounts up to this one."""
        lengths = [
            min(piece.length, capacity - before)
            for piece, before in zip(self.pieces, self.inputs, strict=True)
        ]
        kept = zip(self.pieces, lengths, strict=True)
        return Curve(Piece(piece.start, piece.bend, length) for piece, length in kept if length > 0)

    def edges(self) -> list[float]:
        """Every s at which a piece begins or ends."""
        return [edge for piece in self.pieces for edge in (piece.start, piece.end)]


def split(curves: Sequence[Curve], amount: float) -> tuple[float, list[float]]:
    """The parts of an amount that together give the most, and the s at which they meet; of all there is, if too much.

    The sum of inputs is linear in s between two edges, so that the search for the edges decides all but one division.
    """
    edges = sorted({edge for curve in curves for edge in curve.edges()})
    below = bisect_left(edges, amount, key=lambda s: sum([curve.input_at(s) for curve in curves])) - 1
    s = edges[max(below, 0)]
    before = sum([curve.input_at(s) + curve.flat_at(s) for curve in curves])
    if before < amount and below + 1 < len(edges):
        after = sum([curve.input_at(edges[below + 1]) for curve in curves])
        s += (edges[below + 1] - s) * (amount - before) / (after - before)
        return s, [curve.input_at(s) for curve in curves]
    return s, _filled(curves, s, amount)


def parallel(curves: Sequence[Curve]) -> Curve:
    """The curve of the best split of every amount."""
    if len(curves) == 1:
        return curves[0]
    pieces = []
    last, reached = 0.0, 0.0
    for s in sorted({edge for curve in curves for edge in curve.edges()}):
        taken = sum([curve.input_at(s) for curve in curves])
        if taken - reached > _NOTHING and last:
            pieces.append(Piece(last, (s / last - 1) / (taken - reached), taken - reached))
        flat = sum([curve.flat_at(s) for curve in curves])
        if flat:
            pieces.append(Piece(s, 0.0, flat))
        last, reached = s, taken + flat
    return Curve(pieces)


def series(first: Curve, second: Curve) -> Curve:
    """The curve of selling the output of one on the other, as far as either goes."""
    pieces = []
    onward = iter(second.pieces)
    taker = next(onward, None)
    for giver in first.pieces:
        left: Piece | None = giver
        while left is not None and taker is not None:
            offered = left.output(left.length)
            if offered <= taker.length:
                pieces.append(_composed(left, taker, left.length))
                left, taker = None, _rest(taker, offered)
                taker = taker if taker.length > _NOTHING else next(onward, None)
            else:
                length = _input_for(left, taker.length)
                pieces.append(_composed(left, taker, length))
                left, taker = _rest(left, length), next(onward, None)
    return Curve(pieces)


def _composed(giver: Piece, taker: Piece, length: float) -> Piece:
    """P·t/(1 + κ·t) sold on Q·u/(1 + ν·u) is QP·t/(1 + (κ + νP)·t)."""
    price = 1 / (giver.start * giver.start)
    return Piece(giver.start * taker.start, giver.bend + taker.bend * price, length)


def _rest(piece: Piece, used: float) -> Piece:
    stretch = 1 + piece.bend * used
    return Piece(piece.start * stretch, piece.bend / stretch, piece.length - used)


def _input_for(piece: Piece, output: float) -> float:
    per_unit = output * piece.start * piece.start
    left = 1 - piece.bend * per_unit  # of the price where the piece starts; none, for a float, at its far end
    return min(per_unit / left, piece.length) if left > 0 else piece.length


def _filled(curves: Sequence[Curve], s: float, amount: float) -> list[float]:
    parts = [curve.input_at(s) for curve in curves]
    left = amount - sum(parts)
    for place, curve in enumerate(curves):
        more = max(0.0, min(left, curve.flat_at(s)))
        parts[place] += more
        left -= more
    return parts


def _concave(pieces: Iterable[Piece]) -> list[Piece]:
    """With a price that stays where it would get better again, as a fee that falls on the way makes it."""
    kept: list[Piece] = []
    worst = 0.0
    for piece in pieces:
        left = piece
        if left.start < worst:
            ahead = (worst / left.start - 1) / left.bend if left.bend else left.length
            flat = min(ahead, left.length)
            kept.append(Piece(worst, 0.0, flat))
            left = _rest(left, flat)
        if left.length > _NOTHING:
            kept.append(left)
            worst = left.end
    return kept
