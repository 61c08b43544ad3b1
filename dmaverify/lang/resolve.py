"""Lets and sets: what each stands for, in any order, without recursion."""

from collections.abc import Iterator

from dmaverify.lang import ast
from dmaverify.lang.errors import Problems
from dmaverify.lang.expr import Typer, constant
from dmaverify.lang.load import Loaded
from dmaverify.lang.names import Context, Named, Names
from dmaverify.lang.schema import ENUM_WORDS, RESERVED

Definition = ast.Let | ast.SetOf
MAX_CHAIN = 100  # lets that build on each other


def reserved(word: ast.Word, what: str, problems: Problems) -> None:
    """Tell that a word of the language was chosen as a name."""
    if word.text in RESERVED:
        kind = "an enum value" if word.text in ENUM_WORDS else "a word of the language"
        problems.error(
            "reserved-name", word.span, f"`{word.text}` is {kind} and can not name {what}"
        )


def _words(e: ast.Expr | ast.Elements) -> Iterator[str]:
    """Give the single words in a constant expression; its depth is bounded by the parser."""
    match e:
        case ast.Path():
            if len(e.parts) == 1:
                yield e.parts[0].text
        case ast.Elements():
            for item in e.items:
                yield from _words(item)
        case ast.Group() | ast.Not():
            yield from _words(e.inner)
        case ast.Arith() | ast.Compare() | ast.Implies():
            yield from _words(e.left)
            yield from _words(e.right)
        case ast.And() | ast.Or():
            for part in e.parts:
                yield from _words(part)
        case ast.Member():
            yield from _words(e.left)


class Definitions:
    """The lets and sets that one file can name: its own and those of its includes.

    Args:
        file: the file.
        problems: takes the errors.
    """

    def __init__(self, file: Loaded, problems: Problems) -> None:
        self.problems = problems
        self.own: dict[str, Definition] = {}
        self.all: dict[str, Definition] = {}
        self.known: dict[str, Named] = {}
        self.names = Names(problems, self.known)
        self.typer = Typer(self.names, problems)
        for one in file.all():
            for item in one.tree.items:
                if isinstance(item, ast.Let | ast.SetOf):
                    self._define(item, one is file)
        for name in self.all:
            self._resolve(name, ())

    def _define(self, item: Definition, own: bool) -> None:
        word = item.name
        reserved(word, "a let" if isinstance(item, ast.Let) else "a set", self.problems)
        first = self.all.get(word.text)
        if first is not None:
            self.problems.error(
                "duplicate-name", word.span, f"`{word.text}` is defined twice",
                others=((first.name.span, "first here"),),
            )  # fmt: skip
            return
        self.all[word.text] = item
        if own:
            self.own[word.text] = item

    def _resolve(self, name: str, chain: tuple[str, ...]) -> None:
        if name in self.known:
            return
        item = self.all[name]
        if name in chain:
            circle = " -> ".join([*chain[chain.index(name) :], name])
            self.problems.error(
                "recursive-let", item.name.span, f"`{name}` is defined by itself",
                notes=(circle,) if len(chain) > 1 else (),
            )  # fmt: skip
            self.known[name] = Named(item.name)
            return
        if len(chain) > MAX_CHAIN:
            self.problems.error("too-deep", item.name.span, "too many lets build on each other")
            self.known[name] = Named(item.name)
            return
        body = item.value if isinstance(item, ast.Let) else item.elements
        for word in _words(body):
            if word in self.all:
                self._resolve(word, (*chain, name))
        if name not in self.known:
            self.known[name] = self._made(item)

    def _made(self, item: Definition) -> Named:
        if isinstance(item, ast.Let):
            return Named(item.name, constant=constant(self.typer, item.value))
        members = self.typer.elements(item.elements, Context(), None)
        for member in members or ():
            first = (members or (member,))[0]
            if member.type != first.type:
                self.problems.error(
                    "type-mismatch", member.span, "a set holds values of one type",
                    others=((first.span, "the first is another"),),
                )  # fmt: skip
                members = None
                break
        return Named(item.name, members=members)

    def tell_unused(self) -> None:
        """Warn about lets and sets of the file itself that nothing in it names."""
        for name, item in self.own.items():
            if name not in self.names.used:
                what = "let" if isinstance(item, ast.Let) else "set"
                self.problems.warning(
                    "unused-let", item.name.span, f"the {what} `{name}` is never used"
                )
