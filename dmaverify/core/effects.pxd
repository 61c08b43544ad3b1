# cython: language_level=3
# What every platform of a run makes of an event: replayed state in, incidents out.
#
# The state of the bytes is the world's (coherence.pxd): one state serves all platforms, since
# a bounce buffer and a cache that does not see the device are the same machine with other
# moments of copying. What a platform adds is whether a copy is in between, whether an address
# is translated, and where an untranslated one leads. No rule takes part.
# Like the rules it looks at the world as it was before the event.

from dmaverify.core.between cimport dv_effects
from dmaverify.core.context cimport dv_context
from dmaverify.core.world cimport dv_world

# A device's access or a fault, whether or not it will be judged (`settled`: it will not): count
# it, and take a fault for what it is, an access that the recording machine refused. Return 0,
# or -1 when memory is gone.
cdef int effects_seen(dv_effects* f, dv_context* c, bint settled) noexcept nogil
# Judge an event before it is applied. Return 0, or -1 when memory is gone.
cdef int effects_judge(dv_effects* f, dv_context* c) noexcept nogil
# Judge what a CPU access does to one mapping, and to memory as a whole.
cdef int effects_cpu_mapping(dv_effects* f, dv_context* c) noexcept nogil
cdef int effects_cpu(dv_effects* f, dv_context* c) noexcept nogil
# At the end of the trace: what lives on, and what only the whole tells.
cdef int effects_finish(dv_effects* f, dv_world* w) noexcept nogil
