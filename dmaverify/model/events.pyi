"""Types of the compiled module; its docstrings are in events.pyx."""

import builtins
from collections.abc import Iterable, Mapping

from dmaverify.model.kinds import Arg, EventKind, Flag, HcaValue

class Event:
    __slots__: tuple[str, ...]
    time: int
    bus_addr: int
    phys_addr: int
    length: int
    offset: int
    device: int
    object: int
    site: int
    cpu: int
    status: int
    flags: Flag
    kind: EventKind
    direction: int
    type: int
    record: int
    line: int
    sg_bus: tuple[tuple[int, int], ...]
    sg_phys: tuple[int, ...]
    bus_full: int
    phys_full: int
    virt_addr: int | None
    text: str | None
    args: tuple[tuple[Arg, int], ...]
    sges: tuple[tuple[int, int, int], ...] | None
    hca: tuple[tuple[HcaValue, int], ...] | None
    def __init__(self, **values: builtins.object) -> None: ...
    def key(self) -> tuple[tuple[str, builtins.object], ...]: ...

class EventBatch:
    def __init__(self, capacity: int = ...) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, i: int) -> Event: ...
    def rows(self) -> bytes: ...
    def tally(self) -> tuple[list[int], int | None, int | None, int]: ...
    def clear(self) -> None: ...
    def add(
        self,
        kind: int,
        *,
        time: int | None = ...,
        bus_addr: int | None = ...,
        phys_addr: int | None = ...,
        length: int | None = ...,
        offset: int = ...,
        device: int = ...,
        object: int = ...,
        site: int = ...,
        cpu: int = ...,
        status: int = ...,
        flags: int = ...,
        direction: int | None = ...,
        type: int = ...,
        record: int | None = ...,
        line: int = ...,
        sg_bus: list[tuple[int, int]] | None = ...,
        sg_phys: list[int] | None = ...,
        bus_full: int | None = ...,
        phys_full: int | None = ...,
        virt_addr: int | None = ...,
        text: str | None = ...,
        args: Mapping[Arg, int] | Iterable[tuple[Arg, int]] | None = ...,
        sges: list[tuple[int, int, int]] | None = ...,
        hca: list[tuple[int, int]] | None = ...,
    ) -> None: ...
