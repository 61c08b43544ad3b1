"""Types of the compiled module; its docstrings are in _spans.pyx."""

from collections.abc import Iterable

from dmaverify.model.events import EventBatch

class SpanScout:
    spans: list[list[int | None]]
    cut: dict[int, list[list[int | None]]]
    first: int | None
    whole: bool
    def __init__(self, pages: Iterable[int]) -> None: ...
    def scan(self, batch: EventBatch) -> None: ...
