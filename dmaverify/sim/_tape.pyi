"""Types of the compiled module; its docstrings are in _tape.pyx."""

from collections.abc import Callable
from typing import Any

from dmaverify.model.kinds import EventKind
from dmaverify.sim.clock import Clock

class Recorder:
    records: int
    site: int
    cpu: int
    sites: bool

    def __init__(self, clock: Clock, limit: int, sites: bool, size: int, head: int) -> None: ...
    def into(self, add: Callable[..., None]) -> None: ...
    def flush(self) -> None: ...
    def add(
        self, kind: EventKind, duration_ns: int = ..., place: str = ..., **values: Any
    ) -> None: ...
