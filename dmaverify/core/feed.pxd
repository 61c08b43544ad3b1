# cython: language_level=3
# The loop over the events of a batch.

from dmaverify.core.judge cimport dv_engine
from dmaverify.model.events cimport dv_batch

# Replay a batch; 0, or -1 when memory is gone.
cdef int engine_feed(dv_engine* g, dv_batch* b) noexcept nogil
