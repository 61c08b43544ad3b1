"""Types of the compiled module; its docstrings are in _weave.pyx."""

from dmaverify.model.events import EventBatch
from dmaverify.trace._keyed import KeyScout

DONE: int
HUNGRY: int
FULL: int

class Weaver:
    out: EventBatch
    near: int
    outside: int
    foreign: int
    joined: int
    def __init__(self, keys: KeyScout, host: int, device: int, mark: int) -> None: ...
    def set_clock(
        self,
        base_other: int,
        base_trace: int,
        rate: float,
        doubt: int,
        drift: float,
        near_first: int,
        near_last: int,
    ) -> None: ...
    def begin(self, batch: EventBatch) -> None: ...
    def again(self) -> None: ...
    def feed(self, batch: EventBatch | None) -> None: ...
    def weave(self) -> int: ...

class KeyWeaver:
    out: EventBatch
    unplaced: int
    foreign: int
    joined: int
    left_out: int
    def __init__(self, keys: KeyScout, host: int, device: int, mark: int, most: int) -> None: ...
    def keep(self, batch: EventBatch) -> None: ...
    def ready(self) -> None: ...
    def merge(self, batch: EventBatch) -> EventBatch: ...
