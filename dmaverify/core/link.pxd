# cython: language_level=3
# Makes a program ready to run: where the fields lie that its instructions ask for, and which
# traits each rule needs before it is worth running. A replay then tests the traits of an event
# once, as bits of one word.

from libc.stdint cimport int32_t, uint32_t, uint64_t

from dmaverify.core.context cimport (
    OBJ_ADAPTER, OBJ_DEVICE, OBJ_ENDED_REGION, OBJ_MAPPING, OBJ_MDL, OBJ_QP, OBJ_REGION,
    OBJ_WORK, dv_context,
)
from dmaverify.core.named cimport object_is_named
from dmaverify.core.vm cimport BASE_CONTEXT, dv_frame, dv_instruction, dv_step
from dmaverify.model.events cimport KIND_MEMORY, event_failed

cdef enum:                   # traits: the bit at which each begins
    TRAIT_OBJECTS = 0         # what there is, by object number: mappings, and what is named
    TRAIT_FLAGS = 17          # the event's flags
    TRAIT_MARKS = 33          # marks of the mapping that it means
    TRAIT_LIMITS = 49         # limits of its device that are known
    TRAIT_FAILED = 56
    TRAIT_MEMORY = 57         # the kind of memory is known
    TRAIT_LONGEST = 58        # the longest segment is known
    TRAIT_VIRT = 59           # the CPU pointer is known
    TRAIT_NAMED = 60          # the event has named numbers
    TRAIT_SGE = 61            # a buffer of a list is meant
    TRAIT_INVALIDATED = 62    # a completion names a key that the peer took out of use
    TRAIT_FITS = 63           # a completion of which we expect a status

# A rule whose traits are not what it wants says "not applicable": no need to run it.
cdef struct dv_guard:
    uint64_t care            # traits that matter
    uint64_t want            # what they have to be
    uint32_t types           # map types with which the rule may apply, one bit each
    int32_t start            # where to begin: what the traits have told is left out

# Make steps of `count` instructions that program_check has passed.
cdef void program_link(const dv_instruction* code, int32_t count, dv_step* ret) noexcept nogil
# Learn from the first instructions of the rule at `entry` when it can not apply.
cdef dv_guard guard_of(const dv_instruction* code, int32_t entry) noexcept nogil
# Return a bit for each object that the rule at `entry` asks for.
cdef uint32_t objects_used(const dv_instruction* code, int32_t entry) noexcept nogil

# Return the traits of an event.
cdef inline uint64_t traits_of(const dv_frame* f) noexcept nogil:
    cdef const dv_context* c = f.context
    cdef uint64_t traits = <uint64_t>c.event.flags << TRAIT_FLAGS
    cdef int obj
    for obj in range(OBJ_MAPPING, BASE_CONTEXT):
        traits |= <uint64_t>(c.meant[obj] != 0) << obj
    if c.named != NULL:
        traits |= <uint64_t>1 << TRAIT_NAMED
        for obj in range(OBJ_ADAPTER, OBJ_MDL + 1):
            traits |= <uint64_t>(object_is_named(c.named, obj - OBJ_ADAPTER) != 0) << obj
    if c.means != NULL:
        traits |= <uint64_t>(c.means.region != 0) << OBJ_REGION
        traits |= <uint64_t>(c.means.ended != 0) << OBJ_ENDED_REGION
        traits |= <uint64_t>(c.means.qp != 0) << OBJ_QP
        traits |= <uint64_t>(c.means.work != 0) << OBJ_WORK
        traits |= <uint64_t>(c.hca.now.sge != 0) << TRAIT_SGE
        traits |= <uint64_t>c.hca.now.invalidated_known << TRAIT_INVALIDATED
        traits |= <uint64_t>c.hca.now.fits_known << TRAIT_FITS
    traits |= <uint64_t>f.state[OBJ_MAPPING] << TRAIT_MARKS
    traits |= <uint64_t>f.state[OBJ_DEVICE] << TRAIT_LIMITS
    traits |= <uint64_t>(event_failed(c.event) != 0) << TRAIT_FAILED
    traits |= <uint64_t>(c.memory != 0 or c.event.kind == KIND_MEMORY) << TRAIT_MEMORY
    traits |= <uint64_t>(c.longest != 0) << TRAIT_LONGEST
    return traits | <uint64_t>(c.virt_known != 0) << TRAIT_VIRT
