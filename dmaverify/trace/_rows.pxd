# cython: language_level=3
# Rows of one batch put into another, with the side records that they have. All return 0, or -1
# without memory.

from libc.stdint cimport uint32_t

from dmaverify.model.events cimport dv_batch

# Give a batch that is empty the whole side pool of another, and what is known of it.
cdef int pool_copied(dv_batch* out, const dv_batch* source) noexcept nogil
# Append a row whose side records are in the pool already.
cdef int row_put(dv_batch* out, const dv_batch* source, size_t i) noexcept nogil
# Append a row of another source with its side records; for people it stands at a record of the
# trace, and at a line of its own file.
cdef int other_put(dv_batch* out, const dv_batch* source, size_t i, uint32_t record,
                   uint32_t line) noexcept nogil
