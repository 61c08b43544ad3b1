"""Types of the compiled module; its docstrings are in engine.pyx."""

from dmaverify.model.events import EventBatch
from dmaverify.model.hit import Hit
from dmaverify.model.program import Program

class Engine:
    program: Program
    def __init__(
        self,
        program: Program,
        *,
        time_known: bool = ...,
        syncs_traced: bool = ...,
        ghost_limit: int = ...,
        live_limit: int = ...,
        group_limit: int = ...,
    ) -> None: ...
    def feed(self, batch: EventBatch) -> None: ...
    def hits(self) -> list[Hit]: ...
    def fresh_witnesses(self) -> list[int]: ...
    def witnesses_between(self, start: int, end: int) -> list[int]: ...
    def live_mappings(self) -> list[tuple[int, int, int]]: ...
    @property
    def counters(self) -> dict[str, int]: ...
    @property
    def rule_counts(self) -> list[tuple[int, int, int, int]]: ...
