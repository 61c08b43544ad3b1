"""Types of the compiled module; its docstrings are in _merge.pyx."""

from collections.abc import Iterable

from dmaverify.model.events import EventBatch

class Scout:
    syncs: list[tuple[int, int, int, int]]
    transfers: list[tuple[int, int, int, int]]
    telling: set[int]
    truncated: set[int]
    whole: bool
    first: int | None
    last: int | None
    def __init__(self, pages: Iterable[int]) -> None: ...
    def scan(self, batch: EventBatch) -> None: ...
    def mapped_pages(self) -> dict[int, set[int]]: ...

class Merger:
    out: EventBatch
    def __init__(self, others: EventBatch) -> None: ...
    def merge(self, batch: EventBatch) -> EventBatch: ...
    def rest(self) -> EventBatch: ...
