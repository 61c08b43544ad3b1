# cython: language_level=3
# Where a bus address comes from: a foreign mapping, a physical address, a pointer, a mapping near
# by.

from dmaverify.core.context cimport dv_context

# Tell where the bus address of a device's access comes from.
cdef void trace_back(dv_context* c) noexcept nogil
