"""What a recording does not have is said once, with what that means."""

import pytest

from dmaverify.model.finding import Notice, TraceInfo
from dmaverify.pipeline.lacks import lack_notices


def ids(told: tuple[Notice, ...] = (), **kinds: int) -> list[str]:
    """Return the ids of the notices for a trace with so many events of each kind."""
    info = TraceInfo("t", "dmat", 9, 0, 0, (), True, kinds=kinds)
    return [notice.id for notice in lack_notices(info, told)]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"hca_access": 3}, ["registrations-missing"]),
        ({"hca_access": 3, "reg_mr": 1}, []),
        ({"hca_access": 3, "fast_reg_mr": 1}, []),
        ({"post_send": 2}, ["completions-missing"]),
        ({"post_recv": 2, "cqe": 1}, []),
        ({"cqe": 1}, ["posts-missing"]),
        ({"dma_map": 5}, []),
    ],
)
def test_only_what_is_needed_is_missed(kinds: dict[str, int], expected: list[str]) -> None:
    """Where there is nothing to judge, nothing is missed."""
    assert expected == ids(**kinds)


def test_what_the_reader_said_is_not_said_again() -> None:
    """A capture's reader knows better what to give."""
    assert [] == ids((Notice("registrations-missing", "of a capture"),), hca_access=3)
