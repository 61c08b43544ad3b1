"""What a name means in an expression: fields and objects, lets, sets and enum values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dmaverify.lang import ast, ir
from dmaverify.lang.errors import Problems, did_you_mean
from dmaverify.lang.schema import (
    ENUM_WORDS,
    ENUMS,
    FIELDS_OF,
    MAPPINGS,
    OBJECTS,
    TYPE_NAMES,
    event_fields,
    kinds_text,
    lacking,
    object_fields,
    ref,
)
from dmaverify.model.fields import (
    NAMED_OBJECTS,
    Field,
    Obj,
    Type,
    event_has_device,
    kind_name,
    names_objects,
)
from dmaverify.model.kinds import EventKind
from dmaverify.model.program import Span

_OWNERS = {Obj.ENDED_REGION: "region", Obj.QP: "queue pair", Obj.WORK: "work request"}


@dataclass(frozen=True, slots=True)
class Named:
    """A let or a set with what it stands for, None where its definition is wrong."""

    name: ast.Word
    constant: ir.Const | None = None
    members: tuple[ir.Const, ...] | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """Where an expression stands.

    Args:
        event: the name of the event, "" where there is none (lets, needs).
        kinds: the kinds that the event can have.
        needs: True in a `needs` clause: `device.*` and `trace.*` only.
    """

    event: str = ""
    kinds: tuple[EventKind, ...] = ()
    needs: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """What a path leads to: an object, a range or a field, and what must be known for it.

    Args:
        required: (ref, path, type) of what must exist, outermost first; all of it optional.
        value: the field, None for an object as such or a range.
        range: the range, None for anything else.
        self_refs: the refs that say that the thing itself is there.
    """

    span: Span
    text: str
    required: tuple[tuple[int, Span, str, str], ...]
    self_refs: tuple[int, ...]
    value: ir.Load | None = None
    range: ir.Range | None = None


@dataclass(slots=True)
class Names:
    """Resolves names for one file; remembers which lets and sets were used."""

    problems: Problems
    known: Mapping[str, Named] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def unknown(self, word: ast.Word, candidates: list[str], what: str = "name") -> None:
        """Tell that a word means nothing here."""
        near = did_you_mean(word.text, candidates)
        self.problems.error(
            f"unknown-{what}", word.span, f"unknown {what} `{word.text}`",
            f"did you mean `{near}`?" if near else "not known here",
        )  # fmt: skip

    # ---- single words --------------------------------------------------------------------------

    def word(self, word: ast.Word, context: Context, want: Type | None) -> ir.Const | None:
        """Return the constant that a single word stands for, or None after an error."""
        if word.text in self.known:
            self.used.add(word.text)
            named = self.known[word.text]
            if named.members is not None:
                self.problems.error(
                    "type-mismatch", word.span, f"`{word.text}` is a set, not a value",
                    help_=f"ask `… in {word.text}`",
                )  # fmt: skip
            constant = named.constant
            return ir.Const(word.span, constant.type, constant.value) if constant else None
        homes = [t for t, words in ENUMS.items() if word.text in words]
        if homes:
            home = want if want in homes else homes[0]
            return ir.Const(word.span, home, ENUMS[home][word.text])
        roots = [context.event] if context.event else []
        roots += ["trace", *(["device"] if context.needs else [])]
        if word.text in roots:
            what = "an event" if word.text == context.event else "an object"
            self.problems.error("type-mismatch", word.span, f"`{word.text}` is {what}, not a value")
            return None
        first = list(ENUMS[want]) if want in ENUMS else []
        self.unknown(word, [*first, *self.known, *ENUM_WORDS, *roots])
        return None

    def members(self, word: ast.Word) -> tuple[ir.Const, ...] | None:
        """Return what is in a named set, or None after an error."""
        named = self.known.get(word.text)
        if named is None:
            self.unknown(word, list(self.known), "set")
            return None
        self.used.add(word.text)
        if named.members is None and named.constant is not None:
            self.problems.error(
                "type-mismatch", word.span, f"`{word.text}` is a value, not a set",
                help_=f"write `== {word.text}`, or define it with `set`",
            )  # fmt: skip
        return named.members

    # ---- paths ---------------------------------------------------------------------------------

    def place(self, path: ast.Path, context: Context) -> Place | None:
        """Return where a path of two words or more leads, or None after an error."""
        root, rest = path.parts[0], path.parts[1:]
        if context.event and root.text == context.event:
            return self._event(path, rest, context)
        if root.text == "trace":
            return self._field(path, Obj.TRACE, rest, ())
        if root.text == "device" and context.needs:
            return self._field(path, Obj.DEVICE, rest, ())
        if context.needs:
            self.problems.error(
                "unknown-name", root.span, "a need may ask for the device and the trace only",
                "not known here", help_="write `device.…` or `trace.…`",
            )  # fmt: skip
            return None
        if root.text == "device" and context.event:
            self.problems.error(
                "unknown-name", root.span, "unknown name `device`",
                f"did you mean `{context.event}.device`?",
            )  # fmt: skip
            return None
        self.unknown(root, [context.event, "trace"] if context.event else list(self.known))
        return None

    def _event(self, path: ast.Path, rest: tuple[ast.Word, ...], context: Context) -> Place | None:
        first = rest[0]
        head = self._head(path, 2)
        if first.text in OBJECTS:
            obj = OBJECTS[first.text]
            text = f"{context.event}.{first.text}"
            self_ref = ref(obj, 0)
            if len(rest) == 1:
                return Place(path.span, text, (), (self_ref,))
            return self._field(path, obj, rest[1:], ((self_ref, head, text, first.text),))
        if first.text in NAMED_OBJECTS:
            return self._named(path, rest, context, head)
        if first.text == "device":
            return self._device(path, rest, context, head)
        if first.text == "range" and len(rest) == 1:
            return self._range(path, Obj.EVENT, (), context)
        found = FIELDS_OF[Obj.EVENT].get(first.text)
        without = lacking(found, context.kinds) if found else None
        if found is None or without is not None:
            self._no_event_field(first, context, without)
            return None
        return self._leaf(path, found, Obj.EVENT, rest, ())

    def _device(
        self, path: ast.Path, rest: tuple[ast.Word, ...], context: Context, head: Span
    ) -> Place | None:
        without = next((k for k in context.kinds if not event_has_device(k)), None)
        if without is not None:
            self._no_event_field(rest[0], context, without)
            return None
        if len(rest) > 1:
            return self._field(path, Obj.DEVICE, rest[1:], ())
        load = ir.Load(path.span, Type.DEVICE, Obj.DEVICE, 0)
        return Place(path.span, path.text, (), (), load)

    def _named(
        self, path: ast.Path, rest: tuple[ast.Word, ...], context: Context, head: Span
    ) -> Place | None:
        """Return an object that the event names; by itself it stands for its number."""
        without = next((k for k in context.kinds if not names_objects(k)), None)
        if without is not None:
            self._no_event_field(rest[0], context, without)
            return None
        name = rest[0].text
        obj, text = NAMED_OBJECTS[name], f"{context.event}.{name}"
        required = ((ref(obj, 0), head, text, name),)
        if len(rest) > 1:
            return self._field(path, obj, rest[1:], required)
        load = ir.Load(path.span, Type.INT, obj, FIELDS_OF[obj]["number"].number)
        return Place(path.span, text, required, (ref(obj, 0),), load)

    def _head(self, path: ast.Path, count: int) -> Span:
        first, last = path.parts[0].span, path.parts[count - 1].span
        length = last.offset + last.length - first.offset
        return Span(first.file, first.line, first.column, first.offset, length)

    def _field(
        self, path: ast.Path, obj: Obj, rest: tuple[ast.Word, ...],
        required: tuple[tuple[int, Span, str, str], ...],
    ) -> Place | None:  # fmt: skip
        first = rest[0]
        if obj in MAPPINGS and first.text == "range" and len(rest) == 1:
            return self._range(path, obj, required, Context())
        found = FIELDS_OF[obj].get(first.text)
        if found is None:
            names = object_fields(obj)
            owner = "a mapping" if obj in MAPPINGS else f"the {_OWNERS.get(obj, obj.name.lower())}"
            self._no_field(first, f"{owner} has no field `{first.text}`", obj, names,
                           f"fields of {owner.split()[-1]}")  # fmt: skip
            return None
        return self._leaf(path, found, obj, rest, required)

    def _leaf(
        self, path: ast.Path, found: Field, obj: Obj, rest: tuple[ast.Word, ...],
        required: tuple[tuple[int, Span, str, str], ...],
    ) -> Place | None:  # fmt: skip
        if len(rest) > 1:
            self.problems.error(
                "unknown-field", rest[1].span,
                f"`{found.name}` is a value of type {TYPE_NAMES[found.type]} and has no fields",
            )  # fmt: skip
            return None
        own = ref(obj, found.number)
        load = ir.Load(path.span, found.type, obj, found.number, found.space)
        if found.optional:
            required += ((own, path.span, path.text, TYPE_NAMES[found.type]),)
        return Place(path.span, path.text, required, tuple(r[0] for r in required), load)

    def _range(
        self, path: ast.Path, obj: Obj, required: tuple[tuple[int, Span, str, str], ...],
        context: Context,
    ) -> Place | None:  # fmt: skip
        loads: list[ir.Load] = []
        owner = path.text.removesuffix(".range")
        for name in ("bus_addr", "length"):
            found = FIELDS_OF[obj][name]
            without = lacking(found, context.kinds)
            if without is not None:
                self._no_event_field(path.parts[-1], context, without)
                return None
            loads.append(ir.Load(path.span, found.type, obj, found.number, found.space))
            if found.optional:
                type_ = TYPE_NAMES[found.type]
                required += ((ref(obj, found.number), path.span, f"{owner}.{name}", type_),)
        bytes_ = ir.Range(loads[0], loads[1])
        return Place(path.span, path.text, required, tuple(r[0] for r in required), range=bytes_)

    def _no_event_field(self, word: ast.Word, context: Context, without: EventKind | None) -> None:
        kind = kind_name(without if without is not None else context.kinds[0])
        self._no_field(
            word, f"event `{kind}` has no field `{word.text}`", Obj.EVENT,
            event_fields(context.kinds), f"fields of {kinds_text(context.kinds)}",
        )  # fmt: skip

    def _no_field(self, word: ast.Word, text: str, obj: Obj, names: list[str], what: str) -> None:
        plain = [n.rstrip("?") for n in names]
        near = did_you_mean(word.text, plain)
        label = "no such field"
        if near and near != word.text:
            known = FIELDS_OF[obj].get(near)
            label = f"did you mean `{near}`" + (f" ({TYPE_NAMES[known.type]})?" if known else "?")
        self.problems.error(
            "unknown-field", word.span, text, label, notes=(f"{what}: {', '.join(names)}",)
        )
