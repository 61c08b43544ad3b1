# cython: language_level=3
# Records made into rows. Does not walk pages; a stream's `head` is the record.

from dmaverify.model.events cimport dv_batch
from dmaverify.trace.dat_core cimport dat_decoder, dat_stream

# Make rows of the stream's next record: one for a loss before it, one for itself if the
# event model has it. Returns 0, or -1 without memory.
cdef int record_use(dat_decoder* d, dat_stream* s, dv_batch* b) noexcept nogil
# Make a row of a loss after which the stream has no record. Returns 0, or -1.
cdef int stream_over(dat_decoder* d, dat_stream* s, dv_batch* b) noexcept nogil
