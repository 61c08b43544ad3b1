"""A rule machine in plain Python, written from the description of the instructions."""

from collections.abc import Callable

from dmaverify.model.program import INSTRUCTION, MAX_SHOWN, Op, Program

Get = Callable[[int, int], int | None]
LIMIT = 1 << 64


def run(program: Program, entry: int, get: Get) -> tuple[str, list[int | None]]:
    """Run one rule and return its outcome and the values that it shows.

    Args:
        program: the program.
        entry: where to begin.
        get: the world: (object, number) to a value, None where it is unknown or missing.
    """
    code = list(INSTRUCTION.iter_unpack(program.code))
    r = [0] * 16
    shown: list[int | None] = [None] * MAX_SHOWN
    at = entry
    while True:
        number, a, b, c, target, imm = code[at]
        op = Op(number)
        at += 1
        if op in (Op.HOLDS, Op.NOT_APPLICABLE, Op.VIOLATED):
            return op.name.lower().replace("_", "-"), shown
        if op == Op.CONST:
            r[a] = imm
        elif op == Op.LOAD:
            r[a] = get(b, c) or 0
        elif op <= Op.SHR:
            made = _arithmetic(op, r[b], r[c])
            if made is None or not 0 <= made < LIMIT:
                return "fault", shown
            r[a] = made
        elif op == Op.SHOW:
            shown[a] = r[b]
        elif op == Op.SHOWF:
            shown[a] = get(b, c)
        elif _jumps(op, r, b, c, imm, get):
            assert target >= at, "programs only go forward"
            at = target


def _arithmetic(op: Op, x: int, y: int) -> int | None:
    if (op in (Op.DIV, Op.MOD) and y == 0) or (op in (Op.SHL, Op.SHR) and y > 63):
        return None
    match op:
        case Op.ADD:
            return x + y
        case Op.SUB:
            return x - y
        case Op.MUL:
            return x * y
        case Op.DIV:
            return x // y
        case Op.MOD:
            return x % y
        case Op.AND:
            return x & y
        case Op.OR:
            return x | y
        case Op.XOR:
            return x ^ y
        case Op.SHL:
            return x << y
    return x >> y


def _jumps(op: Op, r: list[int], b: int, c: int, imm: int, get: Get) -> bool:
    if op == Op.JUMP:
        return True
    if op <= Op.JLE:
        x, y = r[b], r[c]
        order = {Op.JEQ: x == y, Op.JNE: x != y, Op.JLT: x < y, Op.JLE: x <= y}
        return order[op]
    known = get(b, c)
    if op in (Op.XIST, Op.XMISS):
        return (known is not None) == (op == Op.XIST)
    # The compiler never looks at what may be missing.
    assert known is not None, (b, c)
    if op in (Op.FIN, Op.FNIN):
        return (known < 64 and bool(imm >> known & 1)) == (op == Op.FIN)
    return {
        Op.FEQ: known == imm, Op.FNE: known != imm, Op.FLT: known < imm, Op.FLE: known <= imm,
        Op.FGT: known > imm, Op.FGE: known >= imm,
    }[op]  # fmt: skip
