# cython: language_level=3
"""Physical memory with real bytes, and caches that do not see what devices do.

Both move bytes without Python objects in between; each range is checked before a byte moves.
They know pages and lines, nothing of drivers, mappings or platforms.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

cdef enum:
    PAGE = 4096
    PAGE_SHIFT = 12
    GROUP = 4096          # pages of a directory entry
    GROUP_SHIFT = 12
    GROUPS = 4096         # so physical addresses have 36 bits

    LINE_INVALID = 0
    LINE_CLEAN = 1
    LINE_DIRTY = 2

LIMIT = <uint64_t>GROUPS * GROUP * PAGE  # the first address that can not have memory


cdef struct dv_ram:
    uint8_t** groups[GROUPS]


cdef inline uint8_t* ram_page(const dv_ram* self, uint64_t pfn) noexcept nogil:
    cdef uint8_t** group
    if pfn >> GROUP_SHIFT >= GROUPS:
        return NULL
    group = self.groups[pfn >> GROUP_SHIFT]
    return NULL if group == NULL else group[pfn & (GROUP - 1)]


cdef uint8_t* ram_add(dv_ram* self, uint64_t pfn, int value) noexcept nogil:
    """Return the page, made and filled where there was none; NULL without memory."""
    cdef uint8_t** group = self.groups[pfn >> GROUP_SHIFT]
    cdef uint8_t* page
    if group == NULL:
        group = <uint8_t**>calloc(GROUP, sizeof(uint8_t*))
        if group == NULL:
            return NULL
        self.groups[pfn >> GROUP_SHIFT] = group
    page = group[pfn & (GROUP - 1)]
    if page == NULL:
        page = <uint8_t*>malloc(PAGE)
        if page != NULL:
            memset(page, value, PAGE)
            group[pfn & (GROUP - 1)] = page
    return page


cdef bint ram_backed(const dv_ram* self, uint64_t start, uint64_t length) noexcept nogil:
    cdef uint64_t pfn
    if length == 0:
        return True
    if start + (length - 1) < start:
        return False
    for pfn in range(start >> PAGE_SHIFT, ((start + length - 1) >> PAGE_SHIFT) + 1):
        if ram_page(self, pfn) == NULL:
            return False
    return True


cdef inline uint64_t piece(uint64_t at, uint64_t left) noexcept nogil:
    """Return how many of the bytes left lie in the page of `at`."""
    cdef uint64_t room = PAGE - (at & (PAGE - 1))
    return left if left < room else room


# The four below need `ram_backed` ranges.
cdef void ram_get(const dv_ram* self, uint64_t at, uint8_t* out, uint64_t left) noexcept nogil:
    cdef uint64_t n
    while left:
        n = piece(at, left)
        memcpy(out, ram_page(self, at >> PAGE_SHIFT) + (at & (PAGE - 1)), n)
        at += n
        out += n
        left -= n


cdef void ram_put(dv_ram* self, uint64_t at, const uint8_t* data, uint64_t left) noexcept nogil:
    cdef uint64_t n
    while left:
        n = piece(at, left)
        memcpy(ram_page(self, at >> PAGE_SHIFT) + (at & (PAGE - 1)), data, n)
        at += n
        data += n
        left -= n


cdef void ram_fill(dv_ram* self, uint64_t at, uint64_t left, int value) noexcept nogil:
    cdef uint64_t n
    while left:
        n = piece(at, left)
        memset(ram_page(self, at >> PAGE_SHIFT) + (at & (PAGE - 1)), value, n)
        at += n
        left -= n


cdef void ram_move(dv_ram* self, uint64_t source, uint64_t target, uint64_t left) noexcept nogil:
    """Copy between ranges that share no byte."""
    cdef uint64_t n
    while left:
        n = piece(source, piece(target, left))
        memcpy(ram_page(self, target >> PAGE_SHIFT) + (target & (PAGE - 1)),
               ram_page(self, source >> PAGE_SHIFT) + (source & (PAGE - 1)), n)
        source += n
        target += n
        left -= n


cdef uint64_t ram_unlike(const dv_ram* self, uint64_t at, uint64_t left,
                         const uint8_t* alike) noexcept nogil:
    """Return the offset of the first byte that is not of the value that a page has, or `left`."""
    cdef uint64_t i, n, done = 0
    cdef const uint8_t* page
    while done < left:
        n = piece(at + done, left - done)
        page = ram_page(self, (at + done) >> PAGE_SHIFT) + ((at + done) & (PAGE - 1))
        if memcmp(page, alike, n) != 0:
            for i in range(n):
                if page[i] != alike[i]:
                    return done + i
        done += n
    return left


cdef bint ram_same(const dv_ram* self, uint64_t at, uint64_t left,
                   const uint8_t* data) noexcept nogil:
    """Tell whether bytes are as those at `data`."""
    cdef uint64_t n
    while left:
        n = piece(at, left)
        if memcmp(ram_page(self, at >> PAGE_SHIFT) + (at & (PAGE - 1)), data, n) != 0:
            return False
        at += n
        data += n
        left -= n
    return True


cdef class Memory:
    """Sparse physical memory: pages of 4 KiB, each with its bytes, below 2**36.

    Addresses are physical, lengths are bytes. A range that is not wholly in memory raises
    `LookupError`, and then nothing was moved.
    """

    cdef dv_ram ram
    cdef uint8_t[PAGE] alike   # a page of the value that was looked for last
    cdef int value

    cdef const uint8_t* page_of(self, int value) noexcept:
        if value != self.value:
            memset(self.alike, value, PAGE)
            self.value = value
        return self.alike

    def __dealloc__(self):
        cdef size_t i, j
        for i in range(GROUPS):
            if self.ram.groups[i] != NULL:
                for j in range(GROUP):
                    free(self.ram.groups[i][j])
                free(self.ram.groups[i])

    cdef int check(self, uint64_t start, uint64_t length) except -1:
        if not ram_backed(&self.ram, start, length):
            raise LookupError(f"no memory at physical {start:#x}, length {length}")
        return 0

    def add(self, uint64_t pfn, uint64_t count, int value=0):
        """Put `count` pages of memory at page number `pfn`, filled with a byte value."""
        cdef uint64_t i
        if pfn + count < pfn or pfn + count > GROUPS * GROUP:
            raise LookupError(f"page {pfn:#x} lies above what can have memory")
        for i in range(pfn, pfn + count):
            if ram_add(&self.ram, i, value) == NULL:
                raise MemoryError()

    def backed(self, uint64_t start, uint64_t length):
        """Tell whether a range is wholly in memory."""
        return ram_backed(&self.ram, start, length)

    def read(self, uint64_t start, uint64_t length):
        """Return the bytes of a range."""
        cdef bytes out
        cdef uint8_t* to
        self.check(start, length)
        out = PyBytes_FromStringAndSize(NULL, length)
        to = <uint8_t*>PyBytes_AS_STRING(out)
        with nogil:
            ram_get(&self.ram, start, to, length)
        return out

    def write(self, uint64_t start, const uint8_t[::1] data):
        """Put bytes at an address."""
        cdef uint64_t length = data.shape[0]
        self.check(start, length)
        if length:
            with nogil:
                ram_put(&self.ram, start, &data[0], length)

    def fill(self, uint64_t start, uint64_t length, int value):
        """Put one value into all bytes of a range."""
        self.check(start, length)
        with nogil:
            ram_fill(&self.ram, start, length, value)

    def move(self, uint64_t source, uint64_t target, uint64_t length):
        """Copy a range to another that shares no byte with it."""
        self.check(source, length)
        self.check(target, length)
        if source < target + length and target < source + length:
            raise LookupError("the two ranges of a move overlap")
        with nogil:
            ram_move(&self.ram, source, target, length)

    def unlike(self, uint64_t start, uint64_t length, int value):
        """Return the offset of the first byte that has not this value, or -1."""
        cdef const uint8_t* alike = self.page_of(value)
        cdef uint64_t done
        self.check(start, length)
        with nogil:
            done = ram_unlike(&self.ram, start, length, alike)
        return done if done < length else -1

    def intact(self, uint64_t low, uint64_t start, uint64_t end, uint64_t top,
               const uint8_t[::1] tag, int value):
        """Tell whether a tag stands right before `start` and at `end`, and around them up to `low`
        and `top` nothing but one value.
        """
        cdef const uint8_t* alike = self.page_of(value)
        cdef uint64_t n = tag.shape[0]
        cdef bint same
        self.check(low, top - low)
        if not low + n <= start <= end <= top - n:
            raise LookupError("there is no room for the tags")
        with nogil:
            same = ram_same(&self.ram, start - n, n, &tag[0]) and \
                ram_same(&self.ram, end, n, &tag[0]) and \
                ram_unlike(&self.ram, low, start - n - low, alike) == start - n - low and \
                ram_unlike(&self.ram, end + n, top - end - n, alike) == top - end - n
        return same

    def copy_of(self, Memory other, uint64_t start, uint64_t length):
        """Take over the bytes that another memory has in a range."""
        cdef uint64_t at = start, n, left = length
        self.check(start, length)
        other.check(start, length)
        with nogil:
            while left:
                n = piece(at, left)
                memcpy(ram_page(&self.ram, at >> PAGE_SHIFT) + (at & (PAGE - 1)),
                       ram_page(&other.ram, at >> PAGE_SHIFT) + (at & (PAGE - 1)), n)
                at += n
                left -= n

    def differs(self, uint64_t start, const uint8_t[::1] data):
        """Return the offset of the first byte that is not as in `data`, or -1."""
        cdef uint64_t at = start, n, done = 0, length = data.shape[0], i
        cdef const uint8_t* page
        self.check(start, length)
        with nogil:
            while done < length:
                n = piece(at, length - done)
                page = ram_page(&self.ram, at >> PAGE_SHIFT) + (at & (PAGE - 1))
                if memcmp(page, &data[done], n) != 0:
                    for i in range(n):
                        if page[i] != data[done + i]:
                            break
                    done += i
                    break
                at += n
                done += n
        return done if done < length else -1


cdef class Cache:
    """The CPU's cache of a memory: lines are filled at the first touch and stay.

    It has room for everything and forgets nothing of itself, so that whatever a driver
    leaves to luck goes wrong every time.

    Args:
        memory: what is cached.
        line_bytes: bytes of a line, a power of two up to a page.
    """

    cdef Memory memory
    cdef dv_ram lines     # the cached bytes, by physical page
    cdef dv_ram states    # one state a line, in the first bytes of a page
    cdef uint64_t line

    def __cinit__(self, Memory memory, uint64_t line_bytes):
        self.memory = memory
        self.line = line_bytes

    def __dealloc__(self):
        cdef size_t i, j
        for i in range(GROUPS):
            if self.lines.groups[i] != NULL:
                for j in range(GROUP):
                    free(self.lines.groups[i][j])
                free(self.lines.groups[i])
            if self.states.groups[i] != NULL:
                for j in range(GROUP):
                    free(self.states.groups[i][j])
                free(self.states.groups[i])

    cdef int fill(self, uint64_t start, uint64_t length) except -1 nogil:
        """Have the lines of a range in the cache."""
        cdef uint64_t at = start & ~(self.line - 1)
        cdef uint8_t* state
        cdef uint8_t* page
        while at < start + length:
            page = ram_add(&self.lines, at >> PAGE_SHIFT, 0)
            state = ram_add(&self.states, at >> PAGE_SHIFT, LINE_INVALID)
            if page == NULL or state == NULL:
                with gil:
                    raise MemoryError()
            state += (at & (PAGE - 1)) // self.line
            if state[0] == LINE_INVALID:
                memcpy(page + (at & (PAGE - 1)),
                       ram_page(&self.memory.ram, at >> PAGE_SHIFT) + (at & (PAGE - 1)), self.line)
                state[0] = LINE_CLEAN
            at += self.line
        return 0

    cdef void settle(self, uint64_t start, uint64_t length, bint clean, bint drop) noexcept nogil:
        """Write dirty lines of a range back (`clean`), and forget its lines (`drop`)."""
        cdef uint64_t at = start & ~(self.line - 1)
        cdef uint8_t* state
        while at < start + length:
            state = ram_page(&self.states, at >> PAGE_SHIFT)
            if state != NULL:
                state += (at & (PAGE - 1)) // self.line
                if clean and state[0] == LINE_DIRTY:
                    memcpy(ram_page(&self.memory.ram, at >> PAGE_SHIFT) + (at & (PAGE - 1)),
                           ram_page(&self.lines, at >> PAGE_SHIFT) + (at & (PAGE - 1)), self.line)
                    state[0] = LINE_CLEAN
                if drop:
                    state[0] = LINE_INVALID
            at += self.line

    def read(self, uint64_t start, uint64_t length):
        """Return the bytes of a range as the CPU sees them."""
        cdef bytes out
        self.memory.check(start, length)
        self.fill(start, length)
        out = PyBytes_FromStringAndSize(NULL, length)
        ram_get(&self.lines, start, <uint8_t*>PyBytes_AS_STRING(out), length)
        return out

    def write(self, uint64_t start, const uint8_t[::1] data):
        """Put bytes into the cache; memory gets them when the lines are cleaned."""
        cdef uint64_t length = data.shape[0], at = start & ~(self.line - 1)
        self.memory.check(start, length)
        if length == 0:
            return
        self.fill(start, length)
        ram_put(&self.lines, start, &data[0], length)
        while at < start + length:
            ram_page(&self.states, at >> PAGE_SHIFT)[(at & (PAGE - 1)) // self.line] = LINE_DIRTY
            at += self.line

    def clean(self, uint64_t start, uint64_t length):
        """Write the dirty lines that touch a range back to memory."""
        self.memory.check(start, length)
        with nogil:
            self.settle(start, length, True, False)

    def invalidate(self, uint64_t start, uint64_t length):
        """Forget the lines that touch a range; what is dirty in them is lost."""
        self.memory.check(start, length)
        with nogil:
            self.settle(start, length, False, True)

    def prefetch(self, uint64_t start, uint64_t length):
        """Fill the lines of a range, as a CPU may do at any time of its own."""
        self.memory.check(start, length)
        self.fill(start, length)

    def state(self, uint64_t at):
        """Return "invalid", "clean" or "dirty": the state of the line of an address."""
        cdef uint8_t* state = ram_page(&self.states, at >> PAGE_SHIFT)
        cdef int value = LINE_INVALID if state == NULL else state[(at & (PAGE - 1)) // self.line]
        return ("invalid", "clean", "dirty")[value]
