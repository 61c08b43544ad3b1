# cython: language_level=3
"""The tape's hot path: one event, with its number, its time and its line (see tape.py)."""

from cpython.object cimport PyObject_Call

from dmaverify.sim.clock import CALL_NS
from dmaverify.sim.stop import Stopped, driver_place

cdef long long COST = CALL_NS
cdef object PLACE = driver_place


cdef class Recorder:
    """Adds events to a batch, and calls `flush` when that is full.

    Args:
        clock: the machine's time.
        limit: the most events that a run may have.
        sites: whether each event carries the driver's own line as its text.
        size: events of a batch.
        head: lines before the first event in the file that is, or could be, written.
    """

    cdef readonly long long records
    cdef public long site, cpu
    cdef public bint sites
    cdef object clock, target
    cdef long long limit, size, head

    def __init__(self, clock, long long limit, bint sites, long long size, long long head):
        self.clock = clock
        self.limit = limit
        self.sites = sites
        self.size = size
        self.head = head
        self.site = 1

    def into(self, add):
        """Let events go to a batch, by its `add`."""
        self.target = add

    def flush(self):
        """Hand over what was recorded since the last time."""
        raise NotImplementedError

    def add(self, kind, long long duration_ns=COST, place="", **values):
        """Record one event; time moves on by what it took.

        Args:
            kind: what happened.
            duration_ns: how long it took.
            place: the driver's line, where it is known already; "" to look for it.
            values: as for `EventBatch.add`.

        Raises:
            Stopped: the run has more events, or takes longer, than it may.
        """
        cdef long long record = self.records + 1
        if record > self.limit:
            raise Stopped(f"the driver made more than {self.limit:,} events")
        self.records = record
        clock = self.clock
        now = clock.now_ns + duration_ns
        clock.now_ns = now
        if now > clock.limit_ns:
            clock.advance(0)
        if self.sites:
            values["text"] = place or PLACE() or None
        values["time"] = now
        values["record"] = values["offset"] = record
        values["line"] = record + self.head
        values["site"] = self.site
        values["cpu"] = self.cpu
        PyObject_Call(self.target, (kind,), values)
        if record % self.size == 0:
            self.flush()
