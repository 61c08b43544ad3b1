"""What Windows' drivers hold beside mappings, again: adapters, map register files and MDLs."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from dmaverify.model.fields import OBJECT_NAMES
from dmaverify.model.kinds import Arg, EventKind, Flag
from dmaverify.model.routines import IRQL_BOUNDS, ReleaseAction, Routine
from tests.oracle.nouns import ENDS, TOP, Call, Mapping

K, A, R = EventKind, Arg, Routine
Value = int | None
LISTS = (
    R.GET_SCATTER_GATHER_LIST, R.BUILD_SCATTER_GATHER_LIST, R.GET_SCATTER_GATHER_LIST_EX,
    R.BUILD_SCATTER_GATHER_LIST_EX, R.PUT_SCATTER_GATHER_LIST,
)  # fmt: skip
TYPES = {"adapter": A.ADAPTER, "file": A.FILE, "mdl": A.MDL}
TALLIES = ("buffers", "channels", "registers", "lists")


@dataclass(eq=False)
class Thing:
    """An adapter, a file or an MDL: what was said of it, and what became of it."""

    type: str
    number: int
    device: int
    epoch: int
    said: dict[str, int] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)
    made: Counter[str] = field(default_factory=Counter)
    freed: Counter[str] = field(default_factory=Counter)
    held: int = 0
    flushed: set[str] = field(default_factory=set)  # ways that an MDL was flushed for
    moved: int = 0  # and where what was transferred since ends
    live: Counter[str] = field(default_factory=Counter)  # channels, and registers of files
    adapter: int = 0
    ended: bool = False


@dataclass(eq=False)
class Tie:
    """A live mapping and what it hangs on."""

    mapping: Mapping
    parents: dict[str, Thing]
    args: dict[Arg, int]
    what: str  # buffers, lists, or "" for a transfer
    registers: int = 0

    @property
    def length(self) -> int:
        """Return its bytes as far as they are known."""
        return self.mapping.call.length or 0


class Windows:
    """All of it at a moment."""

    def __init__(self) -> None:
        self.things: list[Thing] = []  # as they were first seen
        self.ties: list[Tie] = []
        self.levels: dict[int, int] = {}

    # ---- what an event names ---------------------------------------------------------------------

    def concerned(self, call: Call) -> bool:
        """Return True if an event may have to do with any of it."""
        if call.kind >= K.IRQL or call.args:
            return True
        if call.kind == K.DRIVER_UNBOUND:
            return any(t.type == "adapter" and not t.ended for t in self.things)
        return call.kind in ENDS and bool(self.ties)

    def args(self, call: Call) -> dict[Arg, int]:
        """Return the named numbers, with that of the object which the event is about."""
        args = dict(call.args or {})
        own = TYPES.get(OBJECT_NAMES.get(call.kind, ""))
        if own is not None:
            args[own] = call.object
        if call.kind == K.DRIVER_UNBOUND:
            for thing in self.things:
                if thing.type == "adapter" and thing.device == call.device and not thing.ended:
                    return {**args, A.ADAPTER: thing.number}
        return args

    def find(self, type_: str, number: int) -> Thing | None:
        """Return the thing of a number: the one that was seen last."""
        found = [t for t in self.things if (t.type, t.number) == (type_, number)]
        return found[-1] if found else None

    def named(self, call: Call) -> dict[str, Thing]:
        """Return the things that an event names and that are known."""
        args = self.args(call)
        found = {t: self.find(t, args[arg]) for t, arg in TYPES.items() if arg in args}
        return {t: thing for t, thing in found.items() if thing}

    def make(self, type_: str, number: int, call: Call, gaps: int) -> Thing | None:
        """Return a new thing; NULL is none."""
        if not 0 < number < 1 << 32:
            return None
        self.things.append(Thing(type_, number, call.device, gaps))
        return self.things[-1]

    def need(self, type_: str, call: Call, gaps: int) -> Thing | None:
        """Return the thing that an event names, new where it is not known."""
        args = self.args(call)
        if TYPES[type_] not in args:
            return None
        number = args[TYPES[type_]]
        return self.find(type_, number) or self.make(type_, number, call, gaps)

    def tied(self, thing: Thing, transfers: bool = False) -> list[Tie]:
        """Return what hangs on a thing, the oldest first."""
        return [
            t for t in self.ties
            if t.parents.get(thing.type) is thing and not (transfers and t.what == "buffers")
        ]  # fmt: skip

    def tie(self, mapping: Mapping) -> Tie | None:
        """Return how a mapping hangs on things."""
        return next((t for t in self.ties if t.mapping is mapping), None)

    def child(self, call: Call) -> Mapping | None:
        """Return the mapping that an end of a thing leaves in the air."""
        type_ = {
            K.ADAPTER_PUT: "adapter", K.CHANNEL_FREE: "file",
            K.CHANNEL_ACTION: "file", K.MDL_UNLOCK: "mdl",
            K.MDL_FREE: "mdl", K.REQUEST_COMPLETE: "mdl",
        }.get(call.kind)  # fmt: skip
        thing = self.named(call).get(type_ or "")
        hanging = self.tied(thing, call.kind == K.REQUEST_COMPLETE) if thing else []
        return hanging[0].mapping if hanging else None

    def transfer(self, file: Thing, call: Call) -> Mapping | None:
        """Return the transfer of a file that a flush means."""
        args, mdl = self.args(call), self.named(call).get("mdl")

        def fit(tie: Tie) -> int:
            offset = tie.args.get(A.OFFSET)
            same = A.MDL in args and tie.parents.get("mdl") is mdl
            return 2 * same + (A.OFFSET in args and args[A.OFFSET] == offset)

        hanging = self.tied(file)
        return max(hanging, key=fit).mapping if hanging else None

    # ---- changes ---------------------------------------------------------------------------------

    def bind(self, call: Call, mapping: Mapping | None, gaps: int) -> None:
        """Hang a new mapping on what its event names."""
        if not call.args:
            return
        args = self.args(call)
        made = {t: self.need(t, call, gaps) for t in TYPES}
        parents = {t: thing for t, thing in made.items() if thing}
        if mapping is None:
            return
        listed = args.get(A.ROUTINE) in LISTS
        what = "buffers" if call.kind == K.DMA_ALLOC else "lists" if listed else ""
        registers = args.get(A.REGISTERS, 0) if what == "lists" else 0
        file, adapter = parents.get("file"), parents.get("adapter")
        if file and what == "lists":
            file.marks |= {"list", "born"}
        if file and not file.adapter:
            file.adapter = args.get(A.ADAPTER, 0) & 0xFFFF_FFFF
        if adapter and what:
            adapter.made.update({what: 1, "registers": registers})
        self.ties.append(Tie(mapping, parents, args, what, registers))

    def unbind(self, mapping: Mapping) -> None:
        """Take an ended mapping off."""
        for tie in self.ties:
            mdl = tie.parents.get("mdl")
            if tie.mapping is mapping and mdl and tie.what != "buffers":
                end = tie.args.get(A.OFFSET, 0) + tie.length
                mdl.moved = max(mdl.moved, min(end, TOP - 1))
        self.ties = [t for t in self.ties if t.mapping is not mapping]

    def elements(self, call: Call) -> list[Tie]:
        """Return what there is of the vector that a call names."""
        adapter, vector = self.named(call).get("adapter"), self.args(call).get(A.VECTOR, 0)
        if adapter is None or vector == 0:
            return []
        return [t for t in self.tied(adapter)
                if t.what == "buffers" and t.args.get(A.VECTOR) == vector]  # fmt: skip

    def freed(self, call: Call, mapping: Mapping | None) -> None:
        """Count a free or the put of a list."""
        if not self.concerned(call):
            return
        tie = self.tie(mapping) if mapping else None
        named = self.named(call)
        adapter = tie.parents.get("adapter") if tie else named.get("adapter")
        if call.kind == K.DMA_FREE and adapter:
            adapter.freed["buffers"] += 1
        if call.kind == K.DMA_UNMAP and self.args(call).get(A.ROUTINE) in LISTS:
            if adapter:
                adapter.freed.update({"lists": 1, "registers": tie.registers if tie else 0})
            if "file" in named and "list" in named["file"].marks:
                named["file"].ended = True

    def apply(self, call: Call, gaps: int) -> None:
        """Change what an event of its own says."""
        if call.kind == K.IRQL:
            self.levels[call.cpu] = min(call.object, 254)
        elif call.kind == K.ADAPTER_GET:
            self._got(call, gaps)
        elif call.kind == K.ADAPTER_PUT:
            adapter = self.need("adapter", call, gaps)
            if adapter:
                adapter.ended = True
        elif OBJECT_NAMES.get(call.kind) == "file":
            self._channel(call, gaps)
        elif call.kind == K.IO_FLUSH:
            mdl = self.need("mdl", call, gaps)
            if mdl:
                mdl.moved = 0
                mdl.flushed = {"in", "out"} - {{1: "in", 2: "out"}.get(call.direction or 0, "")}
        elif OBJECT_NAMES.get(call.kind) == "mdl":
            self._mdl(call, gaps)

    def left(self, device: int) -> None:
        """End the adapters that a driver left behind."""
        for thing in self.things:
            if thing.type == "adapter" and thing.device == device:
                thing.ended = True

    def _got(self, call: Call, gaps: int) -> None:
        if call.flags & Flag.FAILED:
            return
        known = self.named(call).get("adapter")
        reused = known if known and not known.ended else None
        adapter = reused or self.make("adapter", call.object, call, gaps)
        if adapter:
            adapter.marks.add("born")
            adapter.said.update({a.name.lower(): v for a, v in self.args(call).items()})

    def _owner(self, file: Thing) -> Thing | None:
        return self.find("adapter", file.adapter)

    def _release(self, file: Thing, what: str, count: int, held: int) -> None:
        file.marks.add(f"{what}_freed")
        owner = self._owner(file)
        if owner:
            owner.freed[what] += count
            owner.live[what] -= min(held, owner.live[what])

    def _release_channel(self, file: Thing) -> None:
        self._release(file, "channels", 1, "channel" in file.marks)
        file.marks.discard("channel")

    def _release_registers(self, file: Thing, count: int) -> None:
        self._release(file, "registers", count, file.held)
        file.held = 0

    def _channel(self, call: Call, gaps: int) -> None:
        args = self.args(call)
        if call.kind in (K.CHANNEL_ALLOCATE, K.CHANNEL_GRANTED):
            self.need("adapter", call, gaps)
        if call.kind == K.CHANNEL_ALLOCATE:
            file = None if call.failed else self.make("file", call.object, call, gaps)
            if file:
                file.adapter = args.get(A.ADAPTER, 0) & 0xFFFF_FFFF
                file.marks |= {"born", "channel"}
                self._hold(file, "channels", 1)
                self._learn(file, args)
            return
        found = self.need("file", call, gaps) if call.kind == K.CHANNEL_GRANTED else None
        file = found or self.named(call).get("file")
        if file is None:
            return
        if call.kind == K.CHANNEL_GRANTED:
            self._grant(file, args)
        elif call.kind == K.CHANNEL_ACTION and A.ACTION in args:
            file.said["action"] = args[A.ACTION]
            if args[A.ACTION] != ReleaseAction.KEEP_OBJECT and "channel" in file.marks:
                self._release_channel(file)
            if args[A.ACTION] == ReleaseAction.DEALLOCATE_OBJECT:
                self._release_registers(file, file.held)
        elif call.kind == K.CHANNEL_FREE:
            self._free(file, args)
        elif call.kind == K.CHANNEL_CANCEL and call.status == 1:
            self._release_channel(file)
        settled = call.kind in (K.CHANNEL_FREE, K.CHANNEL_CANCEL, K.CHANNEL_ACTION)
        settled &= call.kind != K.CHANNEL_ACTION or A.ACTION in args
        settled &= call.kind != K.CHANNEL_CANCEL or call.status == 1
        if settled and not file.held and "channel" not in file.marks:
            file.ended = True

    def _hold(self, file: Thing, what: str, count: int) -> None:
        owner = self._owner(file)
        if owner:
            owner.made[what] += count
            owner.live[what] += count

    def _learn(self, file: Thing, args: dict[Arg, int]) -> None:
        if A.REGISTERS in args:
            file.said["registers"] = args[A.REGISTERS]

    def _grant(self, file: Thing, args: dict[Arg, int]) -> None:
        file.adapter = file.adapter or args.get(A.ADAPTER, 0) & 0xFFFF_FFFF
        self._learn(file, args)
        if file.ended or "granted" in file.marks:
            return
        file.held = file.said.get("registers", 0)
        if "channel" not in file.marks:
            self._hold(file, "channels", 1)
        file.marks |= {"granted", "channel"}
        self._hold(file, "registers", file.held)

    def _free(self, file: Thing, args: dict[Arg, int]) -> None:
        routine, action = args.get(A.ROUTINE), args.get(A.ACTION)
        kept = file.said.get("action") == ReleaseAction.KEEP_OBJECT
        if routine == R.FREE_MAP_REGISTERS:
            self._release_registers(file, args.get(A.REGISTERS, file.held))
            if kept and "channel" in file.marks:
                self._release_channel(file)
        elif routine == R.FREE_ADAPTER_CHANNEL or action == ReleaseAction.DEALLOCATE_OBJECT:
            self._release_channel(file)
            self._release_registers(file, file.held)
        elif action != ReleaseAction.KEEP_OBJECT:
            self._release_channel(file)

    def _mdl(self, call: Call, gaps: int) -> None:
        mdl, args = self.need("mdl", call, gaps), self.args(call)
        if mdl is None:
            return
        mdl.marks.add("born")
        if call.kind == K.MDL_LOCK:
            mdl.marks.add("locked")
            if args.get(A.ROUTINE) == R.MM_BUILD_MDL_FOR_NONPAGED_POOL:
                mdl.marks.add("mapped")
            length = args.get(A.MDL_LENGTH, call.length)
            if length is not None:
                mdl.said["length"] = length
        elif call.kind == K.MDL_MAP:
            mdl.marks.add("mapped")
            if A.CACHE in args:
                mdl.said["cache"] = args[A.CACHE]
        elif call.kind == K.MDL_UNMAP:
            mdl.marks.discard("mapped")
        else:
            mdl.marks -= {"locked", "mapped"}
            mdl.ended |= call.kind == K.MDL_FREE

    # ---- answers ---------------------------------------------------------------------------------

    def event(self, call: Call, name: str) -> Value:
        """Answer for the event."""
        args = self.args(call)
        bounds = IRQL_BOUNDS.get(Routine(args[A.ROUTINE])) if self._known_routine(args) else None
        if name in ("level", "request"):
            return call.object
        if name == "irql":
            return self.levels.get(call.cpu) if self.concerned(call) else None
        if name in ("lowest_irql", "highest_irql"):
            return bounds[name == "highest_irql"] if bounds else None
        if name == "elements_left":
            return len(self.elements(call))
        if name == "element_there":
            index = args.get(A.INDEX)
            return int(index is not None and any(
                t.args.get(A.INDEX, 0) == index for t in self.elements(call)))  # fmt: skip
        if name == "null_adapter":
            return int(args.get(A.ADAPTER) == 0)
        return args.get(A[name.upper()])

    def _known_routine(self, args: dict[Arg, int]) -> bool:
        return args.get(A.ROUTINE, 0) in [int(r) for r in Routine]

    def thing(self, call: Call, type_: str, name: str, gaps: int) -> Value:
        """Answer for what an event names; "" asks whether it names it at all."""
        number = self.args(call).get(TYPES[type_], 0) if self.concerned(call) else 0
        if number == 0:
            return None
        if name in ("", "number"):
            return number
        thing = self.named(call).get(type_)
        if name == "alive":
            told = thing and (thing.ended or "born" in thing.marks)
            return int(not thing.ended) if thing and told else None
        if name == "gap":
            return int(thing.epoch != gaps) if thing else None
        thing = thing or Thing(type_, number, 0, 0)
        return getattr(self, f"_of_{type_}")(thing, name, call, gaps)  # type: ignore[no-any-return]

    def _of_adapter(self, a: Thing, name: str, _call: Call, _gaps: int) -> Value:
        word, _, side = name.partition("_")
        if word in TALLIES:
            if side:
                return a.made[word] if side == "made" else a.freed[word]
            held = sum(t.registers for t in self.tied(a)) if word == "registers" else 0
            return a.live[word] + held + sum(t.what == word for t in self.tied(a))
        return (
            self._transfers(a, name) if name in ("mappings", "mapped_bytes") else a.said.get(name)
        )

    def _transfers(self, thing: Thing, name: str) -> int:
        found = self.tied(thing, transfers=True)
        return len(found) if name == "mappings" else sum(t.length for t in found) % TOP

    def _of_file(self, f: Thing, name: str, _call: Call, _gaps: int) -> Value:
        answers: dict[str, Callable[[], Value]] = {
            "adapter": lambda: f.adapter or None,
            "channel": lambda: "channel" in f.marks,
            "granted": lambda: "granted" in f.marks,
            "list": lambda: "list" in f.marks,
            "held": lambda: f.held,
            "registers": lambda: f.said.get("registers"),
            "action": lambda: f.said.get("action"),
            "channel_freed": lambda: "channels_freed" in f.marks,
            "registers_freed": lambda: "registers_freed" in f.marks,
        }
        value = answers[name]() if name in answers else self._transfers(f, name)
        return None if value is None else int(value)

    def _of_mdl(self, m: Thing, name: str, call: Call, gaps: int) -> Value:
        if name in ("locked", "mapped"):
            adapter = self.named(call).get("adapter")
            since = adapter and "born" in adapter.marks and adapter.epoch == gaps
            return int(name in m.marks) if "born" in m.marks or since else None
        if name == "flushed":
            adapter = self.named(call).get("adapter")
            since = adapter and "born" in adapter.marks and adapter.epoch == gaps
            needed = {1: {"out"}, 2: {"in"}}.get(call.direction or 0, {"in", "out"})
            late = self.args(call).get(A.OFFSET, 0) >= m.moved
            known = "born" in m.marks or since
            return int(needed <= m.flushed and late) if known else None
        if name == "mappings":
            return self._transfers(m, name)
        if name == "buffers":
            return sum(t.what == "buffers" for t in self.tied(m))
        return m.said.get(name)

    def bound(self, mapping: Mapping, name: str) -> Value:
        """Answer for a mapping."""
        tie = self.tie(mapping)
        if tie is None:
            return None
        if name in TYPES:
            return tie.parents[name].number if name in tie.parents else None
        return tie.args.get(A[name.upper()])
