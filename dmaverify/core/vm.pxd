# cython: language_level=3
# Runs one rule on one event. The instructions are drawn in model/program.py, whose
# numbers are repeated here (a test holds the two together). Before a program runs, link.pyx
# makes steps of its instructions.

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from dmaverify.core.context cimport OBJ_DEVICE, OBJ_EVENT, OBJ_MAPPING, dv_context
from dmaverify.core.world cimport dv_device, dv_mapping

cdef enum dv_op:
    OP_HOLDS = 0
    OP_NOT_APPLICABLE = 1
    OP_VIOLATED = 2
    OP_CONST = 3
    OP_LOAD = 4
    OP_ADD = 5
    OP_SUB = 6
    OP_MUL = 7
    OP_DIV = 8
    OP_MOD = 9
    OP_AND = 10
    OP_OR = 11
    OP_XOR = 12
    OP_SHL = 13
    OP_SHR = 14
    OP_JUMP = 15
    OP_JEQ = 16
    OP_JNE = 17
    OP_JLT = 18
    OP_JLE = 19
    OP_FEQ = 20
    OP_FNE = 21
    OP_FLT = 22
    OP_FLE = 23
    OP_FGT = 24
    OP_FGE = 25
    OP_FIN = 26
    OP_FNIN = 27
    OP_XIST = 28
    OP_XMISS = 29
    OP_SHOW = 30
    OP_SHOWF = 31
    OP_COUNT = 32

cdef enum:                   # steps that link.pyx makes of three: LOAD, LOAD and a comparison
    STEP_LOADS_JEQ = 32
    STEP_LOADS_JNE = 33
    STEP_LOADS_JLT = 34
    STEP_LOADS_JLE = 35

cdef enum:
    OUT_FAULT = 3            # beside OP_HOLDS, OP_NOT_APPLICABLE, OP_VIOLATED
    SHOWN = 8
    REGISTERS = 16
    BASE_CONTEXT = 7         # beside the objects: what was computed for the event
    BASE_MEANS = 17          # the same for an event of an HCA
    BASE_NOW = 18            # and what it has to do with what an HCA holds

cdef packed struct dv_instruction:
    uint8_t op
    uint8_t a
    uint8_t b
    uint8_t c
    int32_t target
    uint64_t imm

# An instruction made ready to run: where its field lies, if that is a place in memory.
cdef struct dv_step:
    uint8_t op
    uint8_t a
    uint8_t b
    uint8_t c
    int32_t target
    uint64_t imm
    uint64_t mask            # of the field in its word, shifted down; 0 = ask for it by number
    uint16_t offset          # of the word in the struct of `base`
    uint8_t shift
    uint8_t base
    uint16_t care            # bits of the base's state that tell whether the field is known,
    uint16_t want            # and what they are then

# What the steps of all rules look at for one event. A mapping that there is not is the one
# with index 0, which is all zero.
cdef struct dv_frame:
    const dv_context* context
    const char* base[19]     # by object number (not the trace), and the BASE_* above
    uint16_t state[19]       # the event's flags, a mapping's marks, the device's limits, ...

cdef struct dv_shown:
    uint64_t values[8]
    uint8_t known            # one bit a slot
    uint8_t count            # slots in use

# Return the value of a field; `known` tells whether there is one.
cdef uint64_t field_value(const dv_context* c, int obj, int number, bint* known) noexcept nogil
cdef inline void frame_init(dv_frame* f, const dv_context* c) noexcept nogil:
    cdef const dv_mapping* m
    cdef const dv_device* d = &c.world.devices[c.device]
    cdef int obj
    f.context = c
    f.base[OBJ_EVENT] = <const char*>c.event
    f.state[OBJ_EVENT] = c.event.flags
    for obj in range(OBJ_MAPPING, BASE_CONTEXT):
        m = &c.world.mappings[c.meant[obj]]
        f.base[obj] = <const char*>m
        f.state[obj] = m.marks
    f.base[BASE_CONTEXT] = <const char*>c
    f.state[BASE_CONTEXT] = 0
    f.base[OBJ_DEVICE] = <const char*>d
    f.state[OBJ_DEVICE] = d.limits
    if c.means != NULL:
        frame_means(f, c)
    else:
        frame_nothing(f)

# The objects of an HCA's event, and what was found out about it.
cdef void frame_means(dv_frame* f, const dv_context* c) noexcept nogil
cdef void frame_nothing(dv_frame* f) noexcept nogil

# Run a rule from its entry. The program has been checked by program_check.
cdef int rule_run(const dv_step* code, int32_t entry, const dv_frame* f,
                  dv_shown* shown) noexcept nogil
# Return True where every target, register and slot of a program is in range and no jump
# goes backward, so that every run ends.
cdef bint program_check(const dv_instruction* code, int32_t count) noexcept nogil
