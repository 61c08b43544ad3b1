"""Messages with values in braces: `unmap of {e.length} at bus {e.bus_addr:hex}`."""

import re
from dataclasses import dataclass, field

from dmaverify.lang import ast, ir
from dmaverify.lang.errors import Problems
from dmaverify.lang.expr import Facts, Typer
from dmaverify.lang.names import Context
from dmaverify.lang.parse import parse_value
from dmaverify.lang.schema import TYPE_NAMES
from dmaverify.lang.source import Source
from dmaverify.model.fields import Type
from dmaverify.model.program import MAX_SHOWN, Shown, Template

_PIECES = re.compile(r"\\.|\{\{|\}\}|\{(?P<value>[^{}]*)\}|[{}]|[^\\{}]+")
_FORMATS = ("hex",)
_HEX = frozenset({Type.INT, Type.ADDR, Type.SIZE, Type.TOKEN})
_PLAIN = {r"\n": "\n", r"\t": "\t", r"\"": '"', "\\\\": "\\", "{{": "{", "}}": "}"}


def _key(value: ir.Value) -> str:
    """Return what makes two shown values the same: all but their places."""
    return re.sub(r"span=Span\([^)]*\)", "", repr(value))


@dataclass(slots=True)
class Templates:
    """The templates of one rule; equal values share a slot.

    Args:
        source: the file's text.
        typer: checks the values.
        context: where they stand.
        facts: what is known to exist where the rule is violated.
        problems: takes the errors.
    """

    source: Source
    typer: Typer
    context: Context
    facts: Facts
    problems: Problems
    values: list[ir.Value] = field(default_factory=list)
    slots: dict[str, int] = field(default_factory=dict)

    def read(self, text: ast.Text) -> Template:
        """Return a text as a template; what is wrong in it is told at its place."""
        parts: list[str | Shown] = []
        for match in _PIECES.finditer(text.inner):
            if match["value"] is not None:
                shown = self._value(match["value"], text.start + match.start("value"))
                parts += [shown] if shown else []
            elif match[0] in "{}":
                self._brace(match[0], text.start + match.start())
            else:
                plain = _PLAIN.get(match[0], match[0])
                if parts and isinstance(parts[-1], str):
                    parts[-1] += plain
                else:
                    parts.append(plain)
        return tuple(parts)

    def _brace(self, brace: str, offset: int) -> None:
        self.problems.error(
            "bad-template", self.source.span(offset, offset + 1),
            f"`{brace}` alone in a message", help_=f"write `{brace * 2}` for the sign itself",
        )  # fmt: skip

    def _value(self, text: str, start: int) -> Shown | None:
        body, colon, style = text.partition(":")
        if not body.strip():
            self.problems.error(
                "bad-template", self.source.span(start - 1, start + len(text) + 1),
                "there is no value in these braces",
            )  # fmt: skip
            return None
        tree = parse_value(self.source, start, start + len(body), self.problems)
        value = self._typed(tree) if tree else None
        if value is None:
            return None
        if colon and not self._style(style, start + len(body) + 1, value):
            return None
        return self._slot(value, style.strip(), body.strip())

    def _typed(self, tree: ast.Expr) -> ir.Value | None:
        if isinstance(tree, ast.Path) and len(tree.parts) > 1:
            # A field on its own may be missing: then the message says so.
            place = self.typer.names.place(tree, self.context)
            if place is None or place.value is not None:
                return place.value if place else None
        return self.typer.value(tree, self.context, self.facts)

    def _style(self, style: str, start: int, value: ir.Value) -> bool:
        span = self.source.span(start, start + len(style))
        type_ = ir.type_of(value)
        if style.strip() not in _FORMATS:
            self.problems.error(
                "bad-template", span, f"unknown format `{style.strip()}`",
                help_=f"known: {', '.join(_FORMATS)}",
            )  # fmt: skip
            return False
        if type_ not in _HEX:
            self.problems.error(
                "bad-template", span, f"a {TYPE_NAMES[type_]} is not written in hex"
            )
            return False
        return True

    def _slot(self, value: ir.Value, style: str, name: str) -> Shown | None:
        key = _key(value)
        if key not in self.slots:
            if len(self.values) == MAX_SHOWN:
                self.problems.error(
                    "too-many-values", value.span,
                    f"message and hint name more than {MAX_SHOWN} different values",
                )  # fmt: skip
                return None
            self.slots[key] = len(self.values)
            self.values.append(value)
        return Shown(self.slots[key], ir.type_of(value), style, name)
