# cython: language_level=3
# What every platform of a run makes of an event: replayed state in, incidents out.
#
# The state of the bytes is the world's (coherence.pxd): one state serves all platforms, since
# a bounce buffer and a cache that does not see the device are the same machine with other
# moments of copying. What a platform adds is whether a copy is in between, whether an address
# is translated, and where an untranslated one leads. No rule takes part.
# Like the rules it looks at the world as it was before the event.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from dmaverify.core.incidents cimport dv_incidents
from dmaverify.core.resolve cimport dv_context
from dmaverify.core.touches cimport dv_touches
from dmaverify.core.world cimport dv_mapping, dv_world
from dmaverify.model.platform cimport dv_platform

cdef struct dv_used:
    uint64_t accesses        # of the device
    uint64_t cpu_accesses    # to memory that was mapped for it
    uint64_t registered      # mappings that CPU and device use at once
    uint64_t registered_bytes
    uint64_t longest
    uint64_t highest         # end of the highest of them, physical
    uint64_t highest_mapped  # end of the highest memory of all streaming mappings
    uint64_t unplaced        # streaming mappings whose memory is not told
    uint64_t unpaired        # lists of which nothing tells what memory their parts are
    uint64_t bounced         # of them in a bounce buffer of the recording machine
    uint64_t bypass_accesses
    uint64_t bypass_bytes
    uint64_t bypass_lines
    uint8_t registers        # events tell that it registers memory
    uint8_t has_example
    dv_mapping example       # the first such mapping

cdef struct dv_effects:
    dv_platform platforms[16]
    uint32_t count           # platforms; 0 = nothing is judged
    dv_incidents incidents
    dv_used* used            # by device
    uint32_t used_count
    dv_touches touches
    uint64_t dereg_site      # task that deregisters a memory region, plus 1

cdef int effects_init(dv_effects* f, uint64_t seed, uint32_t platforms) noexcept nogil
cdef void effects_deinit(dv_effects* f) noexcept nogil
# A device's access or a fault, whether or not it will be judged (`settled`: it will not): count
# it, and take a fault for what it is, an access that the recording machine refused. Return 0,
# or -1 when memory is gone.
cdef int effects_seen(dv_effects* f, dv_context* c, bint settled) noexcept nogil
# Judge an event before it is applied. Return 0, or -1 when memory is gone.
cdef int effects_judge(dv_effects* f, dv_context* c) noexcept nogil
# Judge what a CPU access does to one mapping, and to memory as a whole.
cdef int effects_cpu_mapping(dv_effects* f, dv_context* c) noexcept nogil
cdef int effects_cpu(dv_effects* f, dv_context* c) noexcept nogil
# Judge a mapping that its driver left behind.
cdef int effects_left(dv_effects* f, dv_context* c) noexcept nogil
# At the end of the trace: what lives on, and what only the whole tells.
cdef int effects_finish(dv_effects* f, dv_world* w) noexcept nogil
