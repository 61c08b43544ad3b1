"""A program as a readable listing, for tests and for people who ask."""

from collections.abc import Iterator

from dmaverify.lang.emit import JUMPS
from dmaverify.lang.schema import FIELDS_OF, OBJECTS
from dmaverify.model.fields import Obj
from dmaverify.model.program import INSTRUCTION, Op, Program, Rule, Shown, Template

_SIGNS = {
    Op.ADD: "+", Op.SUB: "-", Op.MUL: "*", Op.DIV: "/", Op.MOD: "%", Op.AND: "&", Op.OR: "|",
    Op.XOR: "^", Op.SHL: "<<", Op.SHR: ">>", Op.JEQ: "==", Op.JNE: "!=", Op.JLT: "<",
    Op.JLE: "<=", Op.FEQ: "==", Op.FNE: "!=", Op.FLT: "<", Op.FLE: "<=", Op.FGT: ">",
    Op.FGE: ">=", Op.FIN: "in bits", Op.FNIN: "not in bits",
}  # fmt: skip
_OBJECTS = {obj: name for name, obj in OBJECTS.items()}
_ENDS = frozenset({Op.HOLDS, Op.NOT_APPLICABLE, Op.VIOLATED})


def place(obj: int, number: int) -> str:
    """Return the name of an object (number 0) or of a field."""
    name = _OBJECTS.get(Obj(obj), Obj(obj).name.lower())
    if number == 0:
        return name
    found = next((f for f in FIELDS_OF[Obj(obj)].values() if f.number == number), None)
    return f"{name}.{found.name if found else f'#{number}'}"


def _number(value: int) -> str:
    return str(value) if value < 1 << 16 else hex(value)


def _instruction(op: Op, a: int, b: int, c: int, target: int, imm: int) -> str:
    match op:
        case Op.CONST:
            return f"r{a} = {_number(imm)}"
        case Op.LOAD:
            return f"r{a} = {place(b, c)}"
        case Op.JUMP:
            return f"-> {target}"
        case Op.SHOW:
            return f"show[{a}] = r{b}"
        case Op.SHOWF:
            return f"show[{a}] = {place(b, c)}"
        case Op.XIST | Op.XMISS:
            word = "exists" if op == Op.XIST else "missing"
            return f"if {place(b, c)} {word} -> {target}"
    if Op.ADD <= op <= Op.SHR:
        return f"r{a} = r{b} {_SIGNS[op]} r{c}"
    if op in (Op.FIN, Op.FNIN):
        return f"if {place(b, c)} {_SIGNS[op]} {imm:#b} -> {target}"
    if op >= Op.FEQ and op in _SIGNS:
        return f"if {place(b, c)} {_SIGNS[op]} {_number(imm)} -> {target}"
    if op in _SIGNS:
        return f"if r{b} {_SIGNS[op]} r{c} -> {target}"
    return op.name


def listing(program: Program, entry: int) -> list[str]:
    """Return the instructions that can be reached from an entry, one a line, with their index.

    Args:
        program: the program.
        entry: where to begin: a rule's, or a need's.
    """
    code = list(INSTRUCTION.iter_unpack(program.code))
    reached: set[int] = set()
    todo = [entry]
    while todo:
        at = todo.pop()
        if at in reached or not 0 <= at < len(code):
            continue
        reached.add(at)
        op, target = Op(code[at][0]), code[at][4]
        todo += [target] if op in JUMPS else []
        todo += [at + 1] if op not in _ENDS and op != Op.JUMP else []
    return [f"{at:4}  {_instruction(Op(code[at][0]), *code[at][1:])}" for at in sorted(reached)]


def text_of(template: Template) -> str:
    """Return a template with its slots as `{0}`, `{1:hex}`."""
    return "".join(
        f"{{{p.slot}{':' * bool(p.format)}{p.format}}}" if isinstance(p, Shown) else p
        for p in template
    )


def _lines(program: Program, rule: Rule) -> Iterator[str]:
    from dmaverify.model.fields import kind_name
    from dmaverify.model.kinds import EventKind

    kinds = ", ".join(kind_name(EventKind(k)) for k in rule.kinds)
    yield f"rule {rule.id}: {rule.severity.name.lower()} on {kinds}"
    yield from listing(program, rule.entry)
    for need in rule.needs:
        yield f"needs: {need.because}"
        yield from listing(program, need.entry)
    yield f"message: {text_of(rule.message)}"
    if rule.group:
        yield f"group: {', '.join(place(r >> 8, r & 0xFF) for r in rule.group)}"


def show(program: Program) -> str:
    """Return a whole program, rule by rule."""
    return "\n\n".join("\n".join(_lines(program, rule)) for rule in program.rules)
