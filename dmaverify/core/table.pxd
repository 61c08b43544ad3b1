# cython: language_level=3
# A hash table from 64-bit keys to 32-bit values. Open addressing, linear probing, and
# deletion by backward shift: there are no tombstones, so a lookup always ends.
# The value 0 means "empty" and can not be stored. The hash is seeded, so that a trace
# can not be written to collide.

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

cdef extern from *:
    """
    /* The 128 bits of a product, folded into 64: each bit of the result hangs on all of x. */
    static inline uint64_t dv_fold(uint64_t x, uint64_t y) {
        unsigned __int128 product = (unsigned __int128)x * y;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    """
    uint64_t dv_fold(uint64_t x, uint64_t y) noexcept nogil

cdef struct dv_slot:
    uint64_t key
    uint32_t value
    uint32_t unused

cdef struct dv_table:
    dv_slot* slots
    uint64_t mask
    uint64_t count
    uint64_t seed
    uint64_t factor          # odd, made from the seed

cdef inline uint64_t table_mix(uint64_t x) noexcept nogil:
    x ^= x >> 32
    x *= <uint64_t>0xd6e8feb86659fd93
    x ^= x >> 32
    x *= <uint64_t>0xd6e8feb86659fd93
    return x ^ (x >> 32)

cdef inline uint64_t table_home(const dv_table* t, uint64_t key) noexcept nogil:
    return dv_fold(key ^ t.seed, t.factor) & t.mask

# At most three slots of eight are taken: chains stay short, and their ends predictable.
cdef inline bint table_is_full(const dv_table* t) noexcept nogil:
    return (t.count + 1) * 8 > (t.mask + 1) * 3

cdef inline int table_init(dv_table* t, uint64_t capacity, uint64_t seed) noexcept nogil:
    t.slots = <dv_slot*>calloc(capacity, sizeof(dv_slot))
    t.mask = capacity - 1
    t.count = 0
    t.seed = seed
    t.factor = table_mix(seed) | 1
    return 0 if t.slots != NULL else -1

cdef inline void table_deinit(dv_table* t) noexcept nogil:
    free(t.slots)
    t.slots = NULL

# Return the slot of a key, or NULL.
cdef inline dv_slot* table_find(const dv_table* t, uint64_t key) noexcept nogil:
    cdef uint64_t at = table_home(t, key)
    while t.slots[at].value != 0:
        if t.slots[at].key == key:
            return &t.slots[at]
        at = (at + 1) & t.mask
    return NULL

cdef inline uint32_t table_get(const dv_table* t, uint64_t key) noexcept nogil:
    cdef const dv_slot* slot = table_find(t, key)
    return slot.value if slot != NULL else 0

cdef inline int table_grow(dv_table* t) noexcept nogil:
    cdef dv_table bigger
    cdef uint64_t i, at
    if table_init(&bigger, (t.mask + 1) * 2, t.seed) < 0:
        return -1
    for i in range(t.mask + 1):
        if t.slots[i].value != 0:
            at = table_home(&bigger, t.slots[i].key)
            while bigger.slots[at].value != 0:
                at = (at + 1) & bigger.mask
            bigger.slots[at] = t.slots[i]
    bigger.count = t.count
    free(t.slots)
    t[0] = bigger
    return 0

# Set the value of a key (not 0). Return 0, or -1 when memory is gone.
cdef inline int table_set(dv_table* t, uint64_t key, uint32_t value) noexcept nogil:
    cdef dv_slot* slot = table_find(t, key)
    cdef uint64_t at
    if slot != NULL:
        slot.value = value
        return 0
    if table_is_full(t) and table_grow(t) < 0:
        return -1
    at = table_home(t, key)
    while t.slots[at].value != 0:
        at = (at + 1) & t.mask
    t.slots[at].key = key
    t.slots[at].value = value
    t.count += 1
    return 0

# Return the slot of a key, made with value 0 where there was none (set it at once, or
# give it back with table_remove), or NULL when memory is gone.
cdef inline dv_slot* table_slot(dv_table* t, uint64_t key) noexcept nogil:
    cdef uint64_t at
    if table_is_full(t) and table_grow(t) < 0:
        return NULL
    at = table_home(t, key)
    while t.slots[at].value != 0:
        if t.slots[at].key == key:
            return &t.slots[at]
        at = (at + 1) & t.mask
    t.slots[at].key = key
    t.count += 1
    return &t.slots[at]

# Set the value of a key (not 0) and return the value it had, 0 for none; `failed` is set
# when memory is gone.
cdef inline uint32_t table_swap(dv_table* t, uint64_t key, uint32_t value,
                                bint* failed) noexcept nogil:
    cdef uint64_t at
    cdef uint32_t held
    if table_is_full(t) and table_grow(t) < 0:
        failed[0] = True
        return 0
    at = table_home(t, key)
    while t.slots[at].value != 0:
        if t.slots[at].key == key:
            held = t.slots[at].value
            t.slots[at].value = value
            return held
        at = (at + 1) & t.mask
    t.slots[at].key = key
    t.slots[at].value = value
    t.count += 1
    return 0

# Take out a slot that table_find gave; what follows it in its run moves back.
cdef inline void table_remove(dv_table* t, dv_slot* slot) noexcept nogil:
    cdef uint64_t hole = slot - t.slots
    cdef uint64_t at = hole
    cdef uint64_t home
    t.count -= 1
    while True:
        at = (at + 1) & t.mask
        if t.slots[at].value == 0:
            break
        home = table_home(t, t.slots[at].key)
        if ((at - home) & t.mask) >= ((at - hole) & t.mask):
            t.slots[hole] = t.slots[at]
            hole = at
    t.slots[hole].value = 0
    t.slots[hole].key = 0
