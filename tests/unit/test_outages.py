"""What the failover tests make of time stamps."""

import pytest

from tests.pulsar.failover.outages import longest_gap, not_ready

CHANGES = ["not-ready 1.0", "ready 2.0", "not-ready 5.0", "ready 7.5", "{}"]


def test_a_gap_counts_from_the_start_of_the_window_and_to_its_end() -> None:
    assert longest_gap([1.0, 2.0, 4.0, 9.0], 1.5, 5.0) == 2.0
    assert longest_gap([], 1.0, 4.0) == 3.0
    assert longest_gap([1.1, 9.0], 1.0, 4.0) == pytest.approx(2.9)


@pytest.mark.parametrize(
    ("start", "end", "seconds"), [(0.0, 3.0, 2.0), (2.5, 4.0, 0.0), (4.0, 6.0, 1.0), (6.0, 9.0, 1.5), (4.0, 8.0, 2.5)]
)
def test_not_ready_is_what_of_it_lies_in_the_window(start: float, end: float, seconds: float) -> None:
    assert not_ready(CHANGES, start, end) == pytest.approx(seconds)
