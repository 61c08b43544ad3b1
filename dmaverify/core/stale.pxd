# cython: language_level=3
# What lies behind a gap of the recording.

from dmaverify.core.world cimport dv_world
from dmaverify.model.events cimport dv_batch, dv_event, dv_number

# Lost events may hide the end of a mapping: end each one of before the last gap whose
# addresses or memory the event maps anew. Its ghost proves nothing.
cdef int retire_stale(dv_world* w, const dv_batch* b, const dv_event* e,
                      const dv_number* n) noexcept nogil
