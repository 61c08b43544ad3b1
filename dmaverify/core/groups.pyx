# cython: language_level=3
"""Groups of hits, and the folding of consequences into their cause."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

from dmaverify.core.adapters cimport (
    CHILDREN_MAX, OBJECT_ADAPTER, OBJECT_ENDED, OBJECT_FILE, OBJECT_LIVE, OBJECT_MDL,
    OBJECT_TYPES, dv_object, dv_objects,
)
from dmaverify.core.context cimport (
    OBJ_ADAPTER, OBJ_ENDED_REGION, OBJ_GHOST, OBJ_MAPPING, OBJ_MAPPINGS, OBJ_QP, OBJ_REGION,
    OBJ_WORK, dv_context,
)
from dmaverify.core.folds cimport about_memory, memory_tell, memory_told, reached_told
from dmaverify.core.objects cimport KNOWS_IOVA, KNOWS_LENGTH, VERB_ENDED, dv_verb_object
from dmaverify.core.resolve cimport context_evident
from dmaverify.core.shadow cimport dv_segment
from dmaverify.core.table cimport (
    dv_slot, table_deinit, table_find, table_get, table_init, table_mix, table_remove,
    table_set,
)
from dmaverify.core.verbs cimport verbs_subject
from dmaverify.core.vm cimport dv_shown, field_value
from dmaverify.core.work cimport dv_work
from dmaverify.core.world cimport (
    MARK_LENGTH, MARK_THERE, STATE_GHOST, STATE_LIVE, dv_mapping, dv_world, place_of,
)
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN, F_TIME_UNKNOWN,
    KIND_ADAPTER_PUT, KIND_CHANNEL_CANCEL, KIND_CHANNEL_GRANTED, KIND_CQE, KIND_DEV_FAULT,
    KIND_DMA_ALLOC, KIND_DMA_CALL, KIND_DMA_MAP, KIND_DRIVER_UNBOUND, KIND_MDL_FREE,
    KIND_MDL_UNLOCK, KIND_REQUEST_COMPLETE, SIDE_ARGS, SIDE_SG_BUS, SIDE_SG_PHYS, device_reaches,
    device_reads, device_writes, dv_entry, dv_event, dv_side, event_side, event_type, side_entries,
)

cdef uint64_t PAGE = 4096
cdef uint64_t NEAR = 1000000000  # ns; two sources tell of one access within this time


cdef int groups_init(dv_groups* g, uint64_t seed, uint32_t limit) noexcept nogil:
    memset(g, 0, sizeof(dv_groups))
    g.limit = limit
    g.capacity = 8
    g.items = <dv_group*>malloc(g.capacity * sizeof(dv_group))
    if g.items == NULL or table_init(&g.keys, 64, seed) < 0:
        return -1
    if table_init(&g.accused, 64, seed) < 0 or table_init(&g.held, 64, seed) < 0:
        return -1
    return table_init(&g.subjects, 64, seed)


cdef void groups_deinit(dv_groups* g) noexcept nogil:
    free(g.items)
    table_deinit(&g.keys)
    table_deinit(&g.subjects)
    table_deinit(&g.accused)
    table_deinit(&g.held)
    free(g.words)
    memset(g, 0, sizeof(dv_groups))


cdef inline uint64_t subject_key(uint32_t device, uint64_t bus_addr) noexcept nogil:
    return table_mix(bus_addr) ^ <uint64_t>device << 32


cdef inline uint64_t size_class(uint64_t length) noexcept nogil:
    cdef uint64_t n = 0
    while length != 0:
        n += 1
        length >>= 1
    return n


cdef uint64_t group_key(const dv_rule* rule, uint32_t number, const dv_context* c) noexcept nogil:
    """Two hits with one key are one finding. A Linux trace has no call site, so that is the
    kind of call, the device, the task and the size class.
    """
    cdef uint64_t key = table_mix(number + 1)
    cdef const dv_event* e = c.event
    cdef const dv_mapping* m
    cdef int i
    cdef bint known
    if rule.group_count != 0:
        for i in range(rule.group_count):
            key = table_mix(key ^ field_value(c, rule.group_obj[i], rule.group_number[i], &known))
        return key
    key = table_mix(key ^ (
        <uint64_t>e.device << 16 | <uint64_t>e.kind << 8 | <uint64_t>event_type(e)))
    key = table_mix(key ^ e.site)
    if not e.flags & F_LENGTH_UNKNOWN:
        key = table_mix(key ^ size_class(e.length))
    if e.kind == KIND_DEV_FAULT:  # each page is joined to an access for itself
        key = table_mix(key ^ e.bus_addr // PAGE)
    elif c.meant[OBJ_MAPPING] != 0:
        m = &c.world.mappings[c.meant[OBJ_MAPPING]]
        key = table_mix(key ^ (<uint64_t>m.made.site << 8 | m.type))
    return key


cdef bint reaches_across_gap(const dv_rule* rule, const dv_context* c) noexcept nogil:
    """Tell whether events were lost between what the rule looked at and now."""
    cdef const dv_world* w = c.world
    cdef int obj
    if w.gaps == 0:
        return False
    if c.means != NULL:
        obj = <int>verbs_subject(c)
        return obj == 0 or c.hca.items[obj].epoch != w.gaps
    for obj in range(OBJ_MAPPING, OBJ_MAPPINGS):
        if rule.uses >> obj & 1 and c.meant[obj] != 0 and \
                w.mappings[c.meant[obj]].epoch != w.gaps:
            return True
    if c.named != NULL:
        for obj in range(OBJECT_TYPES):
            if rule.uses >> (OBJ_ADAPTER + obj) & 1 and c.named.index[obj] != 0 and \
                    w.objects.items[c.named.index[obj]].epoch != w.gaps:
                return True
    return False


cdef void keep_view(dv_group* g, const dv_context* c, int obj) noexcept nogil:
    cdef dv_view* v = &g.views[g.view_count]
    cdef dv_world* w = c.world
    cdef uint32_t s, i
    cdef dv_segment* seg
    v.obj = <uint8_t>obj
    v.mapping = w.mappings[c.meant[obj]]
    v.listed = 0
    v.phys_listed = <uint8_t>(v.mapping.listed if v.mapping.listed < LISTED else LISTED)
    for i in range(v.phys_listed):
        v.phys[i] = v.mapping.list[i]
    v.mapping.list = NULL  # its owner is the world
    s = v.mapping.first
    while s != 0 and v.listed < LISTED:
        seg = &w.shadow.segments[s]
        v.entries[v.listed].address = seg.start
        v.entries[v.listed].length = seg.length
        v.listed += 1
        s = seg.sibling
    g.view_count += 1


cdef void keep_verb_object(dv_group* g, const dv_context* c, int obj,
                           uint32_t index) noexcept nogil:
    """Keep an object of an HCA in the place of a mapping: its range is of its key's space."""
    cdef dv_view* v = &g.views[g.view_count]
    cdef const dv_verb_object* x = &c.hca.items[index]
    if index == 0 or g.view_count >= VIEWS:
        return
    memset(v, 0, sizeof(dv_view))
    v.obj = <uint8_t>obj
    v.mapping.bus_addr = x.iova
    v.mapping.length = x.length
    v.mapping.device = x.device
    v.mapping.serial = x.serial
    v.mapping.direction = x.access
    v.mapping.type = x.type
    v.mapping.marks = MARK_THERE
    if x.marks & KNOWS_LENGTH and x.marks & KNOWS_IOVA:
        v.mapping.marks |= MARK_LENGTH
    v.mapping.state = STATE_GHOST if x.state == VERB_ENDED else STATE_LIVE
    v.mapping.made = x.made
    v.mapping.ended = x.ended
    v.number = x.number
    g.view_count += 1


cdef void keep_work(dv_group* g, const dv_context* c) noexcept nogil:
    cdef dv_view* v = &g.views[g.view_count]
    cdef const dv_work* x = &c.works.items[c.means.work]
    memset(v, 0, sizeof(dv_view))
    v.obj = OBJ_WORK
    v.mapping.length = x.length
    v.mapping.device = c.device
    v.mapping.type = x.opcode
    v.mapping.marks = MARK_THERE
    v.mapping.state = STATE_LIVE
    v.mapping.made = x.posted
    v.number = c.hca.items[x.qp].number
    g.view_count += 1


cdef void keep_verb_objects(dv_group* g, const dv_context* c) noexcept nogil:
    keep_verb_object(g, c, OBJ_REGION, c.means.region)
    keep_verb_object(g, c, OBJ_ENDED_REGION, c.means.ended)
    keep_verb_object(g, c, OBJ_QP, c.means.qp)
    if c.means.qp == 0 and c.hca.now.subject != 0:
        keep_verb_object(g, c, OBJ_QP, c.hca.now.subject)
    if c.means.work != 0 and g.view_count < VIEWS:
        keep_work(g, c)


cdef void keep_list(const dv_context* c, int tag, dv_entry* entries, uint32_t* stored,
                    uint32_t* full) noexcept nogil:
    cdef const dv_side* s = event_side(c.batch, c.event, tag) if c.event.side != 0 else NULL
    cdef uint32_t i
    if s == NULL:
        return
    full[0] = s.full
    stored[0] = s.stored if s.stored < LISTED else LISTED
    for i in range(stored[0]):
        entries[i] = side_entries(s)[i]


cdef void keep_object(dv_group* g, const dv_context* c, int type) noexcept nogil:
    """Keep where an adapter, a file or an MDL was first seen, and where it ended."""
    cdef dv_view* v = &g.views[g.view_count]
    cdef const dv_object* item = &c.world.objects.items[c.named.index[type]]
    memset(v, 0, sizeof(dv_view))
    v.obj = <uint8_t>(OBJ_ADAPTER + type)
    v.mapping.device = item.device
    v.mapping.serial = item.number
    v.mapping.flags = F_BUS_UNKNOWN | F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN | F_DIRECTION_UNKNOWN
    v.mapping.made = place_of(&item.begun, &item.begun_number)
    v.mapping.state = STATE_LIVE
    if item.state == OBJECT_ENDED:
        v.mapping.ended = place_of(&item.over, &item.over_number)
        v.mapping.state = STATE_GHOST
    g.view_count += 1


cdef void keep_objects(dv_group* g, const dv_rule* rule, const dv_context* c) noexcept nogil:
    """Keep the objects that a rule asked for; where no mapping is meant, the file that is."""
    cdef int type
    for type in range(OBJECT_TYPES):
        if g.view_count < VIEWS and c.named.index[type] != 0 and (
                rule.uses >> (OBJ_ADAPTER + type) & 1 or
                (type == OBJECT_FILE and c.meant[OBJ_MAPPING] == 0)):
            keep_object(g, c, type)


cdef void keep_args(dv_group* g, const dv_context* c) noexcept nogil:
    cdef const dv_side* s = event_side(c.batch, c.event, SIDE_ARGS) if c.event.side != 0 else NULL
    cdef uint32_t i
    if s == NULL:
        return
    g.arg_count = s.stored
    for i in range(s.stored):
        g.args[i] = side_entries(s)[i]


cdef int32_t group_new(dv_groups* g, const dv_rule* rule, uint32_t number, const dv_context* c,
                       const dv_shown* shown, uint64_t key) noexcept nogil:
    cdef void* p
    cdef dv_group* item
    cdef int obj
    if g.count == g.capacity:
        p = realloc(g.items, <size_t>g.capacity * 2 * sizeof(dv_group))
        if p == NULL:
            return -1
        g.items = <dv_group*>p
        g.capacity *= 2
    item = &g.items[g.count]
    memset(item, 0, sizeof(dv_group))
    item.rule = number
    item.occurrences = 1
    item.event = c.event[0]
    item.number = c.number[0]
    item.last = item.event
    item.last_number = item.number
    item.low = reaches_across_gap(rule, c)
    item.shown = shown[0]
    item.virt = c.virt
    item.virt_known = c.virt_known
    keep_list(c, SIDE_SG_BUS, item.bus, &item.bus_stored, &item.bus_full)
    keep_list(c, SIDE_SG_PHYS, item.phys, &item.phys_stored, &item.phys_full)
    for obj in range(OBJ_MAPPING, OBJ_MAPPINGS):
        # What the event means is evidence whether or not the rule asked for it.
        if (rule.uses >> obj & 1 or obj == OBJ_MAPPING or obj == OBJ_GHOST) and \
                c.meant[obj] != 0 and item.view_count < VIEWS:
            keep_view(item, c, obj)
    if c.named != NULL:
        keep_objects(item, rule, c)
        keep_args(item, c)
    if c.means != NULL:
        keep_verb_objects(item, c)
    g.count += 1
    if table_set(&g.keys, key, g.count) < 0:
        return -1
    return <int32_t>g.count


cdef int subject_type(const dv_context* c) noexcept nogil:
    """Return the type of object that an event is about, as errors go; -1 = none.

    A call through an adapter that is there says nothing about the adapter: one call at a wrong
    IRQL does not explain the next mistake. One through a dead adapter does.
    """
    cdef int kind = c.event.kind
    if c.named == NULL:
        return -1
    if kind == KIND_ADAPTER_PUT or kind == KIND_DRIVER_UNBOUND:
        return OBJECT_ADAPTER
    if kind == KIND_DMA_CALL and c.named.index[OBJECT_ADAPTER] != 0 and \
            c.world.objects.items[c.named.index[OBJECT_ADAPTER]].state == OBJECT_ENDED:
        return OBJECT_ADAPTER
    if KIND_CHANNEL_GRANTED <= kind <= KIND_CHANNEL_CANCEL:
        return OBJECT_FILE
    if kind == KIND_MDL_UNLOCK or kind == KIND_MDL_FREE or kind == KIND_REQUEST_COMPLETE:
        return OBJECT_MDL
    return -1


cdef void tell_children(dv_world* w, int type, uint32_t index, uint32_t group) noexcept nogil:
    """Mark all that hangs on an object as told: that it is left behind is a consequence."""
    cdef dv_objects* o = &w.objects
    cdef uint32_t at = o.items[index].first
    cdef uint32_t i, steps = 0
    while at != 0 and steps < CHILDREN_MAX:
        if w.mappings[o.bindings[at].mapping].told == 0:
            w.mappings[o.bindings[at].mapping].told = group
        at = o.bindings[at].next[type]
        steps += 1
    if type != OBJECT_ADAPTER:
        return
    for i in range(1, o.count):
        if o.items[i].type == OBJECT_FILE and o.items[i].state == OBJECT_LIVE and \
                o.items[i].adapter == o.items[index].number and o.items[i].told == 0:
            o.items[i].told = group


cdef inline uint64_t number_key(const dv_context* c) noexcept nogil:
    """Return the subject of an event of an HCA that names no object we know."""
    return ~subject_key(c.device, c.event.object)


cdef int tell_verb_object(dv_groups* g, dv_context* c, uint32_t group) noexcept nogil:
    cdef uint32_t index = verbs_subject(c)
    memory_tell(c, group)
    if about_memory(c):
        return 0
    if index != 0:
        c.hca.items[index].told = group
    elif c.event.object != 0 and g.subjects.count < g.limit:
        return table_set(&g.subjects, number_key(c), group)
    return 0


cdef int tell(dv_groups* g, dv_context* c, uint32_t group) noexcept nogil:
    """Mark the subject of an error, and what a wrong call evidently meant, as told."""
    cdef uint32_t index = c.meant[OBJ_MAPPING]
    cdef dv_world* w = c.world
    cdef int type = subject_type(c)
    if c.means != NULL:
        return tell_verb_object(g, c, group)
    if type >= 0 and c.named.index[type] != 0:
        if c.event.kind != KIND_REQUEST_COMPLETE:  # the MDL may serve many requests
            w.objects.items[c.named.index[type]].told = group
        if c.event.kind != KIND_DRIVER_UNBOUND:  # that a mapping was left is its own mistake
            tell_children(w, type, c.named.index[type], group)
        return 0
    if index != 0:
        w.mappings[index].told = group
    elif not c.event.flags & F_BUS_UNKNOWN and g.subjects.count < g.limit:
        if table_set(&g.subjects, subject_key(c.device, c.event.bus_addr), group) < 0:
            return -1
    if g.items[group - 1].occurrences <= 64:  # the search is not free, the first ones matter
        index = context_evident(c)
        if index != 0 and w.mappings[index].told == 0:
            w.mappings[index].told = group
    return 0


cdef void add_consequence(dv_group* cause, uint32_t rule, const dv_context* c) noexcept nogil:
    cdef dv_consequence* q
    cause.consequences_all += 1
    if cause.consequence_count < CONSEQUENCES:
        q = &cause.consequences[cause.consequence_count]
        q.rule = rule
        q.event = c.event[0]
        q.number = c.number[0]
        cause.consequence_count += 1


cdef enum:                   # in the low bits of a page's key
    WORD_WRITE = 1
    WORD_FAULT = 2


cdef inline uint64_t page_key(uint32_t device, uint64_t page, int bits) noexcept nogil:
    return (table_mix(page // PAGE + 1) ^ <uint64_t>device << 40) & ~<uint64_t>3 | <uint64_t>bits


cdef bint near(const dv_event* a, const dv_event* b) noexcept nogil:
    if (a.flags | b.flags) & F_TIME_UNKNOWN:
        return True
    return (a.time - b.time if a.time > b.time else b.time - a.time) <= NEAR


cdef void attach(dv_groups* g, uint32_t group, const dv_word* word) noexcept nogil:
    cdef dv_group* item = &g.items[group - 1]
    cdef uint32_t i
    if word.group == group:
        return
    for i in range(item.attached_count):
        if item.attached[i].key == word.key and item.attached[i].event.site == word.event.site:
            return  # a refused transfer gives a line for every few bytes: one tells it
    if item.attached_count < ATTACHED:
        item.attached[item.attached_count] = word[0]
        item.attached_count += 1


cdef int hold(dv_groups* g, const dv_word* word) noexcept nogil:
    cdef dv_word* place
    cdef uint32_t index = <uint32_t>table_get(&g.held, word.key)
    if g.words == NULL:
        g.words = <dv_word*>calloc(HELD_MAX, sizeof(dv_word))
        if g.words == NULL:
            return -1
    if index != 0:
        # Of accesses the latest waits, of faults the first.
        if not word.key & WORD_FAULT or not near(&g.words[index - 1].event, &word.event):
            g.words[index - 1] = word[0]
        return 0
    index = g.word_next % HELD_MAX
    g.word_next += 1
    place = &g.words[index]
    if place.key != 0 and table_get(&g.held, place.key) == index + 1:
        table_remove(&g.held, table_find(&g.held, place.key))
    place[0] = word[0]
    return table_set(&g.held, word.key, index + 1)


cdef int groups_word(dv_groups* g, const dv_context* c) noexcept nogil:
    cdef dv_word word
    cdef uint32_t group
    cdef int way, told = 0
    cdef bint fault = c.event.kind == KIND_DEV_FAULT
    word.event = c.event[0]
    word.number = c.number[0]
    word.group = 0
    for way in range(2):
        if device_writes(c.event) if way == 0 else device_reads(c.event):
            continue  # it goes the other way
        word.key = page_key(c.device, c.event.bus_addr, way | (WORD_FAULT if fault else 0))
        group = <uint32_t>table_get(&g.accused, page_key(c.device, c.event.bus_addr, way))
        if group != 0 and (fault or near(&g.items[group - 1].last, c.event) and
                           g.items[group - 1].last.bus_addr == c.event.bus_addr):
            attach(g, group, &word)
            told = 1
        elif hold(g, &word) < 0:
            return -1
    return told


cdef int accuse_page(dv_groups* g, const dv_context* c, uint32_t group,
                     uint64_t page) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef uint32_t index, own
    cdef int way, fault
    for way in range(2):
        if device_writes(e) if way == 0 else device_reads(e):
            continue
        if g.accused.count < g.limit and \
                table_set(&g.accused, page_key(c.device, page, way), group) < 0:
            return -1
        for fault in range(2):
            index = <uint32_t>table_get(
                &g.held, page_key(c.device, page, way | fault * WORD_FAULT))
            if index == 0 or not near(&g.words[index - 1].event, e):
                continue
            if not fault and g.words[index - 1].event.bus_addr != e.bus_addr:
                continue  # another transfer in the same page
            attach(g, group, &g.words[index - 1])
            own = g.words[index - 1].group
            if own != 0 and own != group and g.items[own - 1].folded == 0:
                g.items[own - 1].folded = group
    return 0


cdef int accuse(dv_groups* g, const dv_context* c, uint32_t group) noexcept nogil:
    """Remember the pages of a wrong access, and take what other sources told of it.

    A device may drop the address bits above its 32: then it reached for the lower pages.
    """
    cdef const dv_event* e = c.event
    cdef uint64_t start, last, page
    cdef int bits, _page
    if e.flags & F_BUS_UNKNOWN:
        return 0
    for bits in range(2):
        start = e.bus_addr if bits == 0 else <uint64_t><uint32_t>e.bus_addr
        if bits == 1 and start == e.bus_addr:
            return 0
        last = start
        if not e.flags & F_LENGTH_UNKNOWN and e.length != 0 and last + e.length - 1 >= last:
            last += e.length - 1
        page = start & ~(PAGE - 1)
        for _page in range(PAGES_MAX):
            if accuse_page(g, c, group, page) < 0:
                return -1
            if last - page < PAGE:
                break
            page += PAGE
    return 0


cdef int fault_made(dv_groups* g, const dv_context* c, uint32_t group) noexcept nogil:
    """A fault is a finding of its own, until the access that it refused is told."""
    cdef uint32_t index
    cdef int way
    for way in range(2):
        index = <uint32_t>table_get(
            &g.held, page_key(c.device, c.event.bus_addr, way | WORD_FAULT))
        if index != 0 and g.words[index - 1].group == 0:
            g.words[index - 1].group = group
    return 0


cdef inline bint explains(const dv_group* told, const dv_rule* cause, const dv_rule* r,
                          uint32_t device) noexcept nogil:
    """Tell whether an error may be a consequence of another.

    Whether the needs of a rule are met is known at the end only: what it tells stands for what
    has the same needs, and so is told or not told together with it.
    """
    return cause.needs == 0 or (cause.needs == r.needs and told.event.device == device)


cdef int32_t groups_hit(dv_groups* g, const dv_rule* rules, uint32_t rule, dv_context* c,
                        const dv_shown* shown, uint32_t told) noexcept nogil:
    cdef const dv_rule* r = &rules[rule]
    cdef uint64_t key
    cdef int32_t group
    if r.flags & RULE_FOLDS and told != 0 and g.items[told - 1].rule != rule and \
            explains(&g.items[told - 1], &rules[g.items[told - 1].rule], r, c.device):
        add_consequence(&g.items[told - 1], rule, c)
        if device_reaches(c.event) and accuse(g, c, told) < 0:
            return -1
        return <int32_t>told
    key = group_key(r, rule, c)
    group = <int32_t>table_get(&g.keys, key)
    if group != 0:
        g.items[group - 1].occurrences += 1
        g.items[group - 1].last = c.event[0]
        g.items[group - 1].last_number = c.number[0]
        # One hit that needs no doubt is enough for the group to need none.
        if g.items[group - 1].low and not reaches_across_gap(r, c):
            g.items[group - 1].low = 0
    elif g.count >= g.limit:
        g.overflow += 1
        return <int32_t>told
    else:
        group = group_new(g, r, rule, c, shown, key)
        if group < 0:
            return -1
    if c.event.kind == KIND_DEV_FAULT and r.flags & RULE_FOLDS:
        return <int32_t>told if fault_made(g, c, <uint32_t>group) == 0 else -1
    if device_reaches(c.event) and r.flags & RULE_FOLDS and accuse(g, c, <uint32_t>group) < 0:
        return -1
    if r.flags & RULE_TELLS:
        # What may turn out not to count takes nobody's place, and accuses nothing else.
        if r.needs != 0:
            if told != 0 or c.means != NULL or c.meant[OBJ_MAPPING] == 0:
                return <int32_t>told
            c.world.mappings[c.meant[OBJ_MAPPING]].told = <uint32_t>group
        elif tell(g, c, <uint32_t>group) < 0:
            return -1
        return group
    return <int32_t>told


cdef uint32_t verbs_told(const dv_groups* g, const dv_context* c) noexcept nogil:
    """A completion is about its request first, and about a key that ended under that."""
    cdef uint32_t index, told = memory_told(c)
    if told != 0 or about_memory(c):
        return told
    if c.event.kind == KIND_CQE and c.means.work != 0:
        told = c.works.items[c.means.work].told
        if told == 0 and c.means.ended != 0:
            told = c.hca.items[c.means.ended].told
        if told != 0:
            return told
    index = verbs_subject(c)
    if index != 0:
        return c.hca.items[index].told
    return table_get(&g.subjects, number_key(c)) if g.subjects.count != 0 else 0


cdef uint32_t groups_told(const dv_groups* g, const dv_context* c) noexcept nogil:
    cdef uint32_t index = c.meant[OBJ_MAPPING], told
    cdef int type = subject_type(c)
    if c.means != NULL:
        return verbs_told(g, c)
    if type >= 0 and type != OBJECT_MDL:
        return c.world.objects.items[c.named.index[type]].told
    if index != 0:
        return c.world.mappings[index].told
    if c.event.kind == KIND_DMA_MAP or c.event.kind == KIND_DMA_ALLOC:
        return 0  # a new mapping has nothing to do with what went wrong at its address before
    index = c.meant[OBJ_GHOST]
    if index != 0 and c.world.mappings[index].told != 0:
        return c.world.mappings[index].told
    told = reached_told(c)
    if told != 0:
        return told
    if g.subjects.count == 0 or c.event.flags & F_BUS_UNKNOWN:
        return 0
    return table_get(&g.subjects, subject_key(c.device, c.event.bus_addr))


cdef void groups_forget(dv_groups* g, uint32_t device, uint64_t bus_addr) noexcept nogil:
    cdef dv_slot* slot
    if g.subjects.count == 0:
        return
    slot = table_find(&g.subjects, subject_key(device, bus_addr))
    if slot != NULL:
        table_remove(&g.subjects, slot)
