# cython: language_level=3
# Runs one rule on one event. The instructions are drawn in model/program.py, whose
# numbers are repeated here (a test holds the two together).

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from dmaverify.core.resolve cimport dv_context

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

cdef enum:
    OUT_FAULT = 3            # beside OP_HOLDS, OP_NOT_APPLICABLE, OP_VIOLATED
    SHOWN = 8
    REGISTERS = 16

cdef packed struct dv_instruction:
    uint8_t op
    uint8_t a
    uint8_t b
    uint8_t c
    int32_t target
    uint64_t imm

cdef struct dv_shown:
    uint64_t values[8]
    uint8_t known            # one bit a slot
    uint8_t count            # slots in use

# Return the value of a field; `known` tells whether there is one.
cdef uint64_t field_value(const dv_context* c, int obj, int number, bint* known) noexcept nogil
# Run a rule from its entry. The program has been checked by program_check.
cdef int rule_run(const dv_instruction* code, int32_t entry, const dv_context* c,
                  dv_shown* shown) noexcept nogil
# Return True where every target, register and slot of a program is in range and no jump
# goes backward, so that every run ends.
cdef bint program_check(const dv_instruction* code, int32_t count) noexcept nogil
