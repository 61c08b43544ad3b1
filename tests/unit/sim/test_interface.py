"""What a Windows driver can call is all there, and each call says what its page says."""

import inspect
from collections.abc import Callable

import pytest

from dmaverify.model.routines import Routine, routine_name
from dmaverify.sim.windows.base import ROUTINES
from dmaverify.sim.windows.mdl import MemoryManager
from dmaverify.sim.windows.operations import DmaOperations
from dmaverify.sim.windows.operations3 import DmaOperations3
from dmaverify.sim.windows.system import Windows

#: Members of DMA_OPERATIONS in the order of wdm.h, by the version that brought them.
VERSION_1 = (
    "PutDmaAdapter", "AllocateCommonBuffer", "FreeCommonBuffer", "AllocateAdapterChannel",
    "FlushAdapterBuffers", "FreeAdapterChannel", "FreeMapRegisters", "MapTransfer",
    "GetDmaAlignment", "ReadDmaCounter", "GetScatterGatherList", "PutScatterGatherList",
)  # fmt: skip
VERSION_2 = (
    "CalculateScatterGatherList", "BuildScatterGatherList", "BuildMdlFromScatterGatherList",
)  # fmt: skip
VERSION_3 = (
    "GetDmaAdapterInfo", "GetDmaTransferInfo", "InitializeDmaTransferContext",
    "AllocateCommonBufferEx", "AllocateAdapterChannelEx", "ConfigureAdapterChannel",
    "CancelAdapterChannel", "MapTransferEx", "GetScatterGatherListEx",
    "BuildScatterGatherListEx", "FlushAdapterBuffersEx", "FreeAdapterObject",
    "CancelMappedTransfer", "AllocateDomainCommonBuffer", "FlushDmaBuffer", "JoinDmaDomain",
    "LeaveDmaDomain", "GetDmaDomain", "AllocateCommonBufferWithBounds",
    "AllocateCommonBufferVector", "GetCommonBufferFromVectorByIndex",
    "FreeCommonBufferFromVector", "FreeCommonBufferVector", "CreateCommonBufferFromMdl",
)  # fmt: skip
#: Words of which a call's docstring has one: the level, or that no page says it.
LEVELS = ("IRQL", "level")


def calls_of(owner: type) -> dict[str, Callable[..., object]]:
    """Return the calls of a class that have the names of Windows' own."""
    members = inspect.getmembers(owner, inspect.isfunction)
    return {name: call for name, call in members if name[0].isupper()}


CALLS = {
    **calls_of(DmaOperations3), **calls_of(MemoryManager),
    **{n: c for n, c in calls_of(Windows).items() if n not in ("AddDevice", "RemoveDevice")},
}  # fmt: skip


def test_the_tables_are_complete() -> None:
    """Each version's table has the members that wdm.h has, and no others."""
    assert {*VERSION_1, *VERSION_2} == set(calls_of(DmaOperations))
    assert {*VERSION_1, *VERSION_2, *VERSION_3} == set(calls_of(DmaOperations3))


@pytest.mark.parametrize("name", [*VERSION_1, *VERSION_2, *VERSION_3])
def test_a_call_has_a_number(name: str) -> None:
    """A recording names each routine."""
    assert name in ROUTINES
    assert name == routine_name(Routine(ROUTINES[name]))


@pytest.mark.parametrize("name", CALLS)
def test_a_call_says_its_level_and_its_source(name: str) -> None:
    """The docstring has the IRQL that the routine's page states; it or its module the source."""
    text = inspect.getdoc(CALLS[name]) or ""
    module = inspect.getmodule(CALLS[name])

    assert any(word in text for word in LEVELS)
    assert "Source" in text + (inspect.getdoc(module) or "")
