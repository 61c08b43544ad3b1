# cython: language_level=3
# Events of HCAs in the engine's loop.

from dmaverify.core.context cimport dv_context
from dmaverify.core.judge cimport dv_engine

# At the end: judge what tasks left whose own end was not recorded.
cdef int tasks_left(dv_engine* g) noexcept nogil
# Judge and apply an event of an HCA: it is about keys and queue pairs, not mappings.
cdef int hca_event(dv_engine* g, dv_context* c) noexcept nogil
