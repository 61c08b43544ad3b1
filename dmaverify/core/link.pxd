# cython: language_level=3
# Makes a program ready to run: where the fields lie that its instructions ask for, and which
# facts each rule needs before it is worth running. A replay then tests the facts of an event
# once, as bits of one word.

from libc.stdint cimport int32_t, uint32_t, uint64_t

from dmaverify.core.resolve cimport OBJ_DEVICE, OBJ_MAPPING, dv_context
from dmaverify.core.vm cimport BASE_CONTEXT, dv_frame, dv_instruction, dv_step
from dmaverify.model.events cimport KIND_MEMORY, event_failed

cdef enum:                   # facts: the bit at which each begins
    FACT_OBJECTS = 0         # mappings that there are, by object number
    FACT_FLAGS = 16          # the event's flags
    FACT_MARKS = 32          # marks of the mapping that it means
    FACT_LIMITS = 48         # limits of its device that are known
    FACT_FAILED = 56
    FACT_MEMORY = 57         # the kind of memory is known
    FACT_LONGEST = 58        # the longest segment is known
    FACT_VIRT = 59           # the CPU pointer is known

# A rule whose facts are not what it wants says "not applicable": no need to run it.
cdef struct dv_guard:
    uint64_t care            # facts that matter
    uint64_t want            # what they have to be
    uint32_t types           # map types with which the rule may apply, one bit each
    int32_t start            # where to begin: what the facts have told is left out

# Make steps of `count` instructions that program_check has passed.
cdef void program_link(const dv_instruction* code, int32_t count, dv_step* ret) noexcept nogil
# Learn from the first instructions of the rule at `entry` when it can not apply.
cdef dv_guard guard_of(const dv_instruction* code, int32_t entry) noexcept nogil
# Return a bit for each object that the rule at `entry` asks for.
cdef uint32_t objects_used(const dv_instruction* code, int32_t entry) noexcept nogil

# Return the facts of an event.
cdef inline uint64_t facts_of(const dv_frame* f) noexcept nogil:
    cdef const dv_context* c = f.context
    cdef uint64_t facts = <uint64_t>c.event.flags << FACT_FLAGS
    cdef int obj
    for obj in range(OBJ_MAPPING, BASE_CONTEXT):
        facts |= <uint64_t>(c.meant[obj] != 0) << obj
    facts |= <uint64_t>f.state[OBJ_MAPPING] << FACT_MARKS
    facts |= <uint64_t>f.state[OBJ_DEVICE] << FACT_LIMITS
    facts |= <uint64_t>(event_failed(c.event) != 0) << FACT_FAILED
    facts |= <uint64_t>(c.memory != 0 or c.event.kind == KIND_MEMORY) << FACT_MEMORY
    facts |= <uint64_t>(c.longest != 0) << FACT_LONGEST
    return facts | <uint64_t>(c.virt_known != 0) << FACT_VIRT
