# cython: language_level=3
"""What the engine has found, as objects of the model."""

from libc.stdint cimport uint32_t
from libc.string cimport memset

from dmaverify.core.context cimport OBJ_GHOST, OBJ_MAPPING, OBJ_REGION
from dmaverify.core.groups cimport dv_group, dv_view, dv_word
from dmaverify.core.incidents cimport dv_incident
from dmaverify.core.world cimport (
    MARK_FREED, MARK_LENGTH, MARK_PHYS, MARK_VIRT, STATE_GHOST, STATE_LIVE, dv_mapping,
    dv_place,
)
from dmaverify.model.events cimport TYPE_SHIFT, dv_event, dv_number, event_type_of

from dmaverify.model.effect import Cause, Incident, Mistake, Outcome
from dmaverify.model.events import Event
from dmaverify.model.fields import Obj
from dmaverify.model.hit import Hit, MappingView, Witness
from dmaverify.model.kinds import Arg, EventKind, Flag, MapType
from dmaverify.model.platform import Effect


cdef object place_event(const dv_place* p, values):
    return Witness(p.record, p.line, p.offset, p.time, Event(
        time=p.time, offset=p.offset, record=p.record, line=p.line, site=p.site, cpu=p.cpu,
        kind=EventKind(p.kind), status=0, object=0, text=None, **values))


cdef object view_to_python(const dv_view* v):
    cdef const dv_mapping* m = &v.mapping
    cdef uint32_t i
    segments = tuple([(v.entries[i].address, v.entries[i].length) for i in range(v.listed)])
    flags = Flag(m.flags & ((1 << TYPE_SHIFT) - 1))
    phys = tuple([v.phys[i] for i in range(v.phys_listed)])
    values = {
        "bus_addr": m.bus_addr, "phys_addr": m.phys_addr, "length": m.length, "device": m.device,
        "flags": flags, "direction": m.direction,
        "type": MapType(m.type) if v.obj < OBJ_REGION else m.type,
        "virt_addr": m.virt_addr if m.marks & MARK_VIRT else None,
        "sg_bus": segments if m.type == 3 else (), "bus_full": m.segments if m.type == 3 else 0,
        "sg_phys": phys, "phys_full": m.count if phys else 0,
    }
    made = place_event(&m.made, values)
    ended = None
    if m.state == STATE_GHOST or m.marks & MARK_FREED:
        ended = place_event(&m.ended, {**values, "flags": flags & ~Flag.FAILED})
    return MappingView(
        Obj(v.obj).name.lower(), m.serial, m.device, made, ended, m.bus_addr,
        m.length if m.marks & MARK_LENGTH else None,
        m.phys_addr if m.marks & MARK_PHYS else None, m.direction, m.type, segments,
        v.number)


NO_LISTS = {"sg_bus": (), "sg_phys": (), "bus_full": 0, "phys_full": 0, "virt_addr": None}


cdef object row_to_python(const dv_event* e, const dv_number* n, values):
    return Witness(n.record, n.line, e.offset, e.time, Event(
        time=e.time, bus_addr=e.bus_addr, phys_addr=e.phys_addr, length=e.length, offset=e.offset,
        device=e.device, object=e.object, site=e.site, cpu=e.cpu, status=e.status,
        flags=Flag(e.flags & ((1 << TYPE_SHIFT) - 1)), kind=EventKind(e.kind),
        direction=e.direction, type=event_type_of(e), record=n.record, line=n.line,
        text=None, **values))


cdef object word_to_python(const dv_word* word):
    return row_to_python(&word.event, &word.number, NO_LISTS)


cdef object group_to_python(const dv_group* g, unmet):
    cdef uint32_t i
    values = {
        "sg_bus": tuple([(g.bus[i].address, g.bus[i].length) for i in range(g.bus_stored)]),
        "sg_phys": tuple([g.phys[i].address for i in range(g.phys_stored)]),
        "bus_full": g.bus_full, "phys_full": g.phys_full,
        "virt_addr": g.virt if g.virt_known else None,
        "args": tuple([(Arg(g.args[i].address), g.args[i].length) for i in range(g.arg_count)]),
    }
    shown = tuple([g.shown.values[i] if g.shown.known >> i & 1 else None
                   for i in range(g.shown.count)])
    return Hit(
        g.rule, row_to_python(&g.event, &g.number, values),
        row_to_python(&g.last, &g.last_number, NO_LISTS),
        tuple([view_to_python(&g.views[i]) for i in range(g.view_count)]), shown, g.occurrences,
        tuple([(g.consequences[i].rule,
                row_to_python(&g.consequences[i].event, &g.consequences[i].number, NO_LISTS))
               for i in range(g.consequence_count)]),
        bool(g.low), unmet,
        tuple([word_to_python(&g.attached[i]) for i in range(g.attached_count)]))


cdef object incident_to_python(const dv_incident* n, uint32_t platforms):
    cdef dv_view view
    cdef uint32_t i
    mapping = None
    if n.has_mapping:
        memset(&view, 0, sizeof(dv_view))
        view.obj = OBJ_MAPPING if n.mapping.state == STATE_LIVE else OBJ_GHOST
        view.mapping = n.mapping
        mapping = view_to_python(&view)
    outcomes = tuple([
        Outcome(Effect(n.verdict.effect[i]), Cause(n.verdict.cause[i]), n.verdict.stage[i])
        for i in range(platforms)])
    return Incident(
        Mistake(n.verdict.mistake), row_to_python(&n.event, &n.number, NO_LISTS), n.event.device,
        n.ordinal, mapping, n.verdict.bytes, n.length, n.count, outcomes,
        bool(n.verdict.rests_on_syncs), bool(n.verdict.across_gap))
