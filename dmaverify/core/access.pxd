# cython: language_level=3
# A device's access: how it lies to what is mapped, and what all platforms make of it. The access
# and the fault that it raised are one incident.

from dmaverify.core.between cimport dv_effects
from dmaverify.core.context cimport dv_context
from dmaverify.core.incidents cimport dv_verdict

# Judge a device's access before it is applied. Return 0, or -1 when memory is gone.
cdef int judge_access(dv_effects* f, dv_context* c) noexcept nogil
# The recording machine refused an access.
cdef void fault_seen(dv_effects* f, dv_verdict* v) noexcept nogil
