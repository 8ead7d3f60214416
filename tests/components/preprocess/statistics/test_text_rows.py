"""Sampling of rows."""

from __future__ import annotations

from collections import Counter

from tpuline.components.preprocess.statistics.text_rows import TextRow, draw

ROWS = [TextRow(f"text {i}", None, None) for i in range(5000)]


def test_all_rows_are_drawn_where_they_are_few() -> None:
    drawn = draw(iter(ROWS[:10]))
    assert list(drawn.rows) == ROWS[:10] and drawn.num_rows == 10


def test_sample_is_the_same_each_time_in_order_and_from_everywhere() -> None:
    drawn = draw(iter(ROWS), most=500)
    assert drawn == draw(iter(ROWS), most=500)
    assert len(drawn.rows) == 500 and drawn.num_rows == 5000
    places = [ROWS.index(row) for row in drawn.rows]
    assert places == sorted(places)
    assert 150 < sum(place < 2500 for place in places) < 350


def test_text_that_comes_often_is_drawn_often() -> None:
    rows = [TextRow("again" if i % 2 else f"text {i}", None, None) for i in range(4000)]
    counts = Counter(row.text for row in draw(rows, most=400).rows)
    assert 150 < counts["again"] < 250
