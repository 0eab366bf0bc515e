from __future__ import annotations

import pytest

from bench.figures import Figure, Floor, table


@pytest.mark.parametrize(
    ("key", "value", "verdict"),
    [
        ("accepted", 11_000, "aim"),
        ("accepted", 7_500, "must"),
        ("accepted", 7_499, "MISSED"),
        ("alone_p50", 4, "aim"),
        ("alone_p50", 6, "must"),
        ("alone_p50", 6.1, "MISSED"),
        ("idle_sockets", 10_000, "must"),
        ("idle_sockets", 9_999, "MISSED"),
        ("accept_p50", 1, ""),
    ],
)
def test_a_figure_is_held_against_its_target(key: str, value: float, verdict: str) -> None:
    assert Figure(key, value).verdict == verdict


@pytest.mark.parametrize(("key", "value", "floor"), [("accepted", 5_000, 10_000), ("alone_p50", 8, 4)])
def test_a_ratio_is_better_the_nearer_it_is_to_one(key: str, value: float, floor: float) -> None:
    assert Figure(key, value, Floor("bare", floor)).ratio == 0.5


def test_the_table_has_a_row_for_each_figure() -> None:
    rows = table([Figure("accepted", 9_000, Floor("bare", 12_000)), Figure("accept_p99", 3.25)]).splitlines()
    assert len(rows) == 4
    assert "9,000 /s" in rows[2]
    assert "0.75" in rows[2]
    assert "3.25 ms" in rows[3]
