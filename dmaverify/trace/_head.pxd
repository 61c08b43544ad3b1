# cython: language_level=3
# The head of a line: task, CPU, time and event name, in every layout that prints them.
#
#   tracefs       `%16s-%-7d (tgid) [cpu] flags time: name: body`      a dash in column 16
#   trace-cmd     the same, after an instance's name where there are several
#   latency       `%8.8s-%-7d cpu+flags time us+: name: body`          a dash in column 8
#   perf script   `%16s %5d[/tid] [cpu] time: system:name: body`       or an unpadded task
#   bare          `name: body`                                         no-context, hand-written
#
# Where the layouts come from: Linux kernel/trace/trace_output.c (trace_print_context,
# trace_print_lat_context), tools/perf/builtin-script.c, trace-cmd's tracecmd/trace-read.c.
#
# A task name is any 15 bytes and a mark is any text, so neither may decide where the head
# ends. The kernel pads task names: the first guess is always the column. Otherwise the
# right-most fit wins whose task name is short enough to be one: text that a task chose
# lies left of it, and the body, too far to the right, can not be it.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum dv_layout_mode:
    LAYOUT_OPEN = 0      # not known yet
    LAYOUT_DASH = 1
    LAYOUT_PERF = 2
    LAYOUT_BARE = 3

cdef enum dv_clock:
    CLOCK_NONE = 0       # no time printed
    CLOCK_NS = 1
    CLOCK_TICKS = 2

cdef struct dv_layout:
    int mode
    int column           # of the dash, for LAYOUT_DASH

cdef struct dv_head:
    uint64_t time
    uint32_t pid
    uint16_t cpu
    uint8_t clock
    const char* comm         # with the blanks around it
    const char* comm_end
    const char* prefix       # name of the instance; NULL without
    const char* prefix_end
    const char* system       # NULL where the layout prints none
    const char* system_end
    const char* name         # NULL where no event name is printed
    const char* name_end
    const char* body

# Split a line into its head and body. Return the layout mode that fits, or 0; `layout` is
# what earlier lines taught, and is taught by this one.
cdef int read_head(const char* p, const char* end, dv_layout* layout, dv_head* ret) noexcept nogil

# Find the layout that fits most lines of a trace's beginning; none is learned where none
# fits. Without it, the first line that fits teaches its layout.
cdef void learn_layout(const char* p, const char* end, dv_layout* ret) noexcept nogil
