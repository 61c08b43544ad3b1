# cython: language_level=3
# What marks say. Only `%s`, `%c` and whole numbers are put into the kernel's own texts.

from libc.stdint cimport uint8_t, uint32_t

from dmaverify.model.events cimport dv_batch
from dmaverify.trace.dat_core cimport dat_decoder, dat_plan

# Fill the batch's last row with what the record of a mark says. Returns 0, or -1 without memory.
cdef int mark_fill(dat_decoder* d, const dat_plan* plan, const uint8_t* r, uint32_t size,
                   dv_batch* b) noexcept nogil
