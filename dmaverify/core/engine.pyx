# cython: language_level=3
"""The engine: batches of events in, groups of hits out."""

from libc.stdint cimport uint32_t, uint64_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memset

from dmaverify.core.between cimport between_deinit, dv_used
from dmaverify.core.effects cimport effects_finish
from dmaverify.core.feed cimport engine_feed
from dmaverify.core.groups cimport dv_group, groups_deinit, groups_init
from dmaverify.core.hca_feed cimport tasks_left
from dmaverify.core.incidents cimport dv_incident
from dmaverify.core.hca_state cimport DEVICES_MAX
from dmaverify.core.judge cimport dv_engine
from dmaverify.core.load cimport engine_load, engine_platforms, engine_unmet
from dmaverify.core.objects cimport verb_objects_deinit, verb_objects_init
from dmaverify.core.views cimport group_to_python, incident_to_python
from dmaverify.core.work cimport works_deinit, works_init
from dmaverify.core.world cimport (
    STATE_FREE, STATE_GHOST, STATE_LIVE, dv_device, dv_mapping, dv_world, world_deinit,
    world_init,
)
from dmaverify.model.events cimport EventBatch

import os

from dmaverify.model.effect import DeviceFacts


cdef class Engine:
    """Replays events through the shadow memory and runs a program's rules on each.

    Args:
        program: the compiled rules.
        time_known: False where the trace clock is not time; durations are then unknown.
        syncs_traced: True where the kernel log says that every sync leaves an event.
        ghost_limit: ended mappings that are remembered.
        live_limit: live mappings that are followed; more are counted only.
        group_limit: groups of hits that are kept apart; more are counted only.
        platforms: what to work out the effects on, at most 16; none costs nothing.

    Raises:
        InternalError: the program is not well formed.
    """

    cdef dv_engine g
    cdef uint32_t told_witnesses
    cdef uint32_t told_incidents
    cdef bint finished
    cdef readonly object program

    def __cinit__(self, program, *, bint time_known=True, bint syncs_traced=False,
                  uint32_t ghost_limit=65536, uint64_t live_limit=1 << 24,
                  uint32_t group_limit=16384, platforms=()):
        cdef uint64_t seed = int.from_bytes(os.urandom(8), "little")
        memset(&self.g, 0, sizeof(dv_engine))
        self.program = program
        if world_init(&self.g.world, seed, ghost_limit, live_limit) < 0 or \
                groups_init(&self.g.groups, seed, group_limit) < 0:
            raise MemoryError()
        if works_init(&self.g.works, seed) < 0:
            raise MemoryError()
        if verb_objects_init(&self.g.hca, seed, <uint32_t>min(live_limit, 1 << 30),
                             ghost_limit) < 0:
            raise MemoryError()
        engine_platforms(&self.g, platforms, seed)
        self.g.world.time_known = time_known
        self.g.world.syncs_traced = syncs_traced
        engine_load(&self.g, program)

    def __dealloc__(self):
        world_deinit(&self.g.world)
        verb_objects_deinit(&self.g.hca)
        works_deinit(&self.g.works)
        groups_deinit(&self.g.groups)
        between_deinit(&self.g.effects)
        free(self.g.code)
        free(self.g.rules)
        free(self.g.index)
        free(self.g.index_rules)

    def name_device(self, uint32_t number, int family):
        """Tell of which family an HCA is; what a recording says itself counts for more.

        Args:
            number: the device.
            family: HcaFamily.
        """
        if number < DEVICES_MAX and self.g.hca.family[number] == 0:
            self.g.hca.family[number] = <uint8_t>family

    def feed(self, EventBatch batch not None):
        """Replay a batch. Releases the GIL.

        Args:
            batch: n rows in the order of the trace; n may be 0.

        Raises:
            MemoryError: the shadow can not grow.
        """
        cdef int failed
        with nogil:
            failed = engine_feed(&self.g, &batch.c)
        if failed < 0:
            raise MemoryError("no memory left for the shadow")

    def finish(self):
        """Judge what only the whole trace tells: call it after the last batch.

        Raises:
            MemoryError: the incidents can not grow.
        """
        if self.finished:
            return
        self.finished = True
        if tasks_left(&self.g) < 0:
            raise MemoryError("no memory left for the hits")
        if self.g.effects.count != 0 and effects_finish(&self.g.effects, &self.g.world) < 0:
            raise MemoryError("no memory left for the incidents")

    def incidents(self):
        """Return what the platforms of the run do not take as the driver wants, by event."""
        cdef uint32_t i
        return [incident_to_python(&self.g.effects.incidents.items[i], self.g.effects.count)
                for i in range(self.g.effects.incidents.count)]

    def device_facts(self):
        """Return what the recording tells about each device with mappings or accesses."""
        cdef uint32_t i
        cdef dv_device* d
        cdef dv_used* u
        cdef dv_used none
        memset(&none, 0, sizeof(dv_used))
        out = []
        for i in range(1, self.g.world.device_count):
            d = &self.g.world.devices[i]
            u = &self.g.effects.used[i] if i < self.g.effects.used_count else &none
            if d.maps + d.allocs + u.accesses:
                out.append(DeviceFacts(
                    i, d.maps + d.allocs, u.accesses, u.cpu_accesses,
                    bool(d.syncs or d.bounces or self.g.world.syncs_traced), u.registered,
                    u.registered_bytes, u.bypass_accesses, u.bypass_bytes, u.bypass_lines,
                    u.longest, u.highest_mapped, u.unplaced, u.unpaired))
        return out

    def hits(self):
        """Return all groups of hits so far, each with the first of its rule's needs that the
        recording, as known now, does not meet.
        """
        cdef uint32_t i
        out = []
        for i in range(self.g.groups.count):
            if self.g.groups.items[i].folded != 0:
                continue
            unmet = engine_unmet(&self.g, self.program, i)
            out.append(group_to_python(&self.g.groups.items[i], unmet))
        return out

    def fresh_witnesses(self):
        """Return the offsets of the source lines that groups and incidents made since the last
        call name.
        """
        cdef uint32_t i, k
        cdef dv_group* item
        cdef dv_incident* found
        out = []
        for i in range(self.told_witnesses, self.g.groups.count):
            item = &self.g.groups.items[i]
            out.append(item.event.offset)
            for k in range(item.view_count):
                out.append(item.views[k].mapping.made.offset)
                if item.views[k].mapping.state == STATE_GHOST:
                    out.append(item.views[k].mapping.ended.offset)
        self.told_witnesses = self.g.groups.count
        # An incident that is told anew names another line: all that are kept are few.
        for i in range(self.g.effects.incidents.count):
            found = &self.g.effects.incidents.items[i]
            if i >= self.told_incidents or found.retold:
                out.append(found.event.offset)
                found.retold = 0
                if found.has_mapping:
                    out.append(found.mapping.made.offset)
                    out.append(found.mapping.ended.offset)
        self.told_incidents = self.g.effects.incidents.count
        return out

    def witnesses_between(self, uint64_t start, uint64_t end):
        """Return the offsets in [start, end) of lines that a later hit may name: where live
        and remembered mappings were made and ended.
        """
        cdef uint32_t i
        cdef dv_mapping* m
        out = []
        for i in range(1, self.g.world.mapping_count):
            m = &self.g.world.mappings[i]
            if m.state == STATE_FREE:
                continue
            if start <= m.made.offset < end:
                out.append(m.made.offset)
            if m.state == STATE_GHOST and start <= m.ended.offset < end:
                out.append(m.ended.offset)
        for i in range(self.g.world.ring.count):
            m = &self.g.world.ring.mappings[i]
            if self.g.world.ring.keys[i].device != 0:
                if start <= m.made.offset < end:
                    out.append(m.made.offset)
                if start <= m.ended.offset < end:
                    out.append(m.ended.offset)
        return out

    def left_open(self):
        """Return (device, live mappings) of each device that has any and whose driver's end is
        not in the recording.
        """
        cdef uint32_t i
        return [(i, self.g.world.devices[i].live) for i in range(1, self.g.world.device_count)
                if self.g.world.devices[i].live and not self.g.world.devices[i].unbinds]

    @property
    def counters(self):
        """Counts about the run as a whole, by name."""
        cdef dv_world* w = &self.g.world
        cdef uint32_t i
        return {
            "events": self.g.events, "checked": self.g.checked, "in_flight": w.in_flight,
            "across_gap": w.across_gap, "lost": w.lost, "gaps": w.gaps, "refused": w.refused,
            "forgotten": w.forgotten, "asked_late": w.asked_late,
            "crowded": w.shadow.crowded, "live": w.live,
            "works": self.g.works.live, "objects": self.g.hca.live,
            "overflow": self.g.groups.overflow, "incidents": self.g.effects.incidents.overflow,
            "iommu_events": w.iommu_events,
            "objects_forgotten": w.objects.forgotten + self.g.hca.forgotten,
            "objects_refused": w.objects.refused + self.g.hca.refused +
            self.g.hca.held.refused + self.g.hca.told.refused,
            "undecided": w.undecided, "unexplained": w.unexplained,
            "bounces": sum([w.devices[i].bounces for i in range(w.device_count)]),
        }

    @property
    def rule_counts(self):
        """(runs, holds, violations, faults) of each rule, in the program's order."""
        cdef uint32_t i
        return [(self.g.rules[i].runs, self.g.rules[i].holds, self.g.rules[i].violations,
                 self.g.rules[i].faults) for i in range(self.g.rule_count)]

    def live_mappings(self):
        """Return (device, bus address, length) of each live mapping, sorted."""
        cdef uint32_t i
        cdef dv_mapping* m
        out = []
        for i in range(1, self.g.world.mapping_count):
            m = &self.g.world.mappings[i]
            if m.state == STATE_LIVE:
                out.append((m.device, m.bus_addr, m.length))
        return sorted(out)
