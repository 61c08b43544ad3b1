# cython: language_level=3
# What syncs and a device's transfers do to the bytes of mappings.

from libc.stdint cimport uint32_t

from dmaverify.core.adapters cimport dv_named
from dmaverify.core.context cimport dv_context
from dmaverify.core.world cimport dv_world
from dmaverify.model.events cimport dv_batch, dv_event

# Hand the synced bytes over.
cdef int apply_sync(dv_world* w, const dv_batch* b, const dv_event* e,
                    uint32_t index) noexcept nogil
# Open or close a device's transfer in its mapping; what it wrote is news to the CPU.
cdef int apply_transfer(dv_world* w, dv_context* c) noexcept nogil
# A mapped transfer was cancelled: the device is done with what its file maps.
cdef void cancel_transfers(dv_world* w, const dv_named* named) noexcept nogil
