# cython: language_level=3
# From a device's access to the mapping that it aims at.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.context cimport dv_context
from dmaverify.core.world cimport dv_mapping
from dmaverify.model.events cimport dv_event

# True where a mapping's direction allows what a device does, or does not tell.
cdef bint event_allowed(const dv_event* e, const dv_mapping* m) noexcept nogil
# True where the mapping that a fault means allows what the device did.
cdef bint fault_allowed(const dv_context* c) noexcept nogil
# Of a device's access, the mapping of the device that holds the byte `at` bytes into it, best one
# that allows it, and how many bytes on from there it holds; 0 = none.
cdef uint32_t context_spanned(dv_context* c, uint64_t at, uint64_t* room) noexcept nogil
# Find the mapping that a device's access lies in: best fit, then the newest.
cdef void resolve_transfer(dv_context* c) noexcept nogil
# Let a mapping explain an access that ended within the doubt about the access's time.
cdef void resolve_doubt(dv_context* c) noexcept nogil
# Tell whether an access whose place among the events is not known can not be judged.
cdef bint order_matters(dv_context* c) noexcept nogil
