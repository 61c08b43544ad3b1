# cython: language_level=3
# Rows of one source between those of another.

from dmaverify.model.events cimport dv_batch

# Give the row put last the side records that it has in another batch. 0, or -1 without memory.
cdef int sides_of(dv_batch* out, const dv_batch* source, size_t i) noexcept nogil
