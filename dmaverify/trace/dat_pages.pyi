"""Types of the compiled module; its docstrings are in dat_pages.pyx."""

from dmaverify.model.events import EventBatch

class PageDecoder:
    def __init__(
        self,
        big: bool,
        layout: tuple[int, int, int, int],
        type_spot: tuple[int, int, int],
        pid_spot: tuple[int, int, int],
        clock: tuple[int, int, int],
    ) -> None: ...
    def set_texts(self, texts: dict[int, bytes]) -> None: ...
    def add_stream(self, cpu: int, instance: int, page_size: int) -> None: ...
    def add_plan(
        self,
        event: int,
        kind: int,
        type: int,
        family: int,
        failed: bool,
        garbage: bool,
        spots: list[tuple[int, int, int, int, int]],
        opcodes: dict[int, int] | None = None,
    ) -> None: ...
    def feed(self, stream: int, chunk: bytes, where: int) -> None: ...
    def decode(self, batch: EventBatch, limit: int) -> int: ...
    @property
    def hungry(self) -> int: ...
    @property
    def counts(self) -> dict[str, int]: ...
    def add_devices(self, known: list[str]) -> None: ...
