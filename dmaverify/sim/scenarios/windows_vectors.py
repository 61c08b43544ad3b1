"""Common-buffer vectors of Windows drivers: many buffers of one size, by their index."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import PAGE, Driver, driver
from dmaverify.sim.windows.buffers3 import COMMON_BUFFER_VECTOR
from dmaverify.sim.windows.names import STATUS_SUCCESS

ELEMENTS = 4


def _vector(it: Driver) -> COMMON_BUFFER_VECTOR:
    """Return a vector of four pages."""
    status, vector = it.ops.AllocateCommonBufferVector(it.adapter, 0, 0, 1, 0, 0, ELEMENTS, PAGE)
    assert status == STATUS_SUCCESS
    return vector  # type: ignore[no-any-return]


def _free(it: Driver, vector: COMMON_BUFFER_VECTOR, *indices: int) -> None:
    """Free some elements, and then the vector."""
    for index in indices:
        it.ops.FreeCommonBufferFromVector(it.adapter, vector, index)
    it.ops.FreeCommonBufferVector(it.adapter, vector)


def good(sim: Simulation) -> None:
    """Each element is used by its index and freed once, and then the empty vector.

    Expect: nothing
    """
    with driver(sim, version=3) as it:
        vector = _vector(it)
        for index in range(ELEMENTS):
            virt, logical = it.ops.GetCommonBufferFromVectorByIndex(it.adapter, vector, index)
            it.dev.write(logical, b"element")
            sim.expect(sim.cpu.read(virt, 7), b"element")
        _free(it, vector, *range(ELEMENTS))


def one_too_many(sim: Simulation) -> None:
    """A loop asks for the element behind the last one, and gets none.

    Expect: vector-index-out-of-range
    """
    with driver(sim, version=3) as it:
        vector = _vector(it)
        for index in range(ELEMENTS + 1):
            it.ops.GetCommonBufferFromVectorByIndex(it.adapter, vector, index)
        _free(it, vector, *range(ELEMENTS))


def used_after_free(sim: Simulation) -> None:
    """An element is asked for that was freed.

    Expect: vector-element-used-after-free
    """
    with driver(sim, version=3) as it:
        vector = _vector(it)
        it.ops.FreeCommonBufferFromVector(it.adapter, vector, 2)
        it.ops.GetCommonBufferFromVectorByIndex(it.adapter, vector, 2)
        _free(it, vector, 0, 1, 3)


def freed_twice(sim: Simulation) -> None:
    """An element is freed twice.

    Expect: vector-element-used-after-free
    """
    with driver(sim, version=3) as it:
        _free(it, _vector(it), 0, 1, 1, 2, 3)


def not_empty(sim: Simulation) -> None:
    """A vector is freed with an element in it, which nobody can free any more.

    Expect: vector-freed-while-in-use, adapter-put-while-in-use
    """
    with driver(sim, version=3) as it:
        _free(it, _vector(it), 0, 1, 2)
