# SPDX-License-Identifier: Apache-2.0
"""Read the subset of FHIRPath in which R4 writes its search parameters.

The subset: element paths, unions with `|`, `as` / `.as(T)` / `.ofType(T)`, `.where(element='literal')`,
`.where(resolve() is T)`, `[n]`, `.exists()`, and `X.exists() and X != false`. Nothing is evaluated here: a
union comes out as its branches, each a flat list of steps. This is not a FHIRPath engine.

https://hl7.org/fhir/R4/searchparameter-registry.html, https://hl7.org/fhirpath/N1/
"""

from __future__ import annotations

import re
from typing import NamedTuple

from salus.kernel.errors import Kind, Problem

_TOKEN = re.compile(r"\s*(?:'([^'\\]*)'|([A-Za-z_]\w*)|(\d+)|(!=|[.()|=\[\]]))")
# Some R4 expressions name primitive types by FHIRPath's System names.
_SYSTEM_TYPES = {
    "DateTime": "dateTime",
    "Uri": "uri",
    "Date": "date",
    "String": "string",
    "Boolean": "boolean",
}


class Step(NamedTuple):
    """One step of a path.

    Attributes:
        op: `root` (type or element at the start), `field`, `as`, `where`, `resolve`, `index`, `exists` or
            `exists-not-false`.
        name: element or type name; decimal digits for `index`.
        literal: the compared text of `where`.
    """

    op: str
    name: str = ""
    literal: str = ""


Path = tuple[Step, ...]


def parse(text: str) -> tuple[Path, ...]:
    """Take an expression apart into the paths whose results it unites.

    Args:
        text: FHIRPath as a SearchParameter carries it.

    Raises:
        Problem: INCORRECT when the text lies outside the subset.
    """
    reader = _Reader(text)
    paths = reader.union()
    reader.end()
    return tuple(paths)


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at, text = 0, text.strip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise _outside("a character")
            kind = ("literal", "name", "number", "sign")[(found.lastindex or 1) - 1]
            self._tokens.append((kind, found[found.lastindex or 1]))
            at = found.end()
        self._at = 0

    def union(self) -> list[Path]:
        paths = self._condition()
        while self._eat("sign", "|"):
            paths += self._condition()
        return paths

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise _outside("words after the end")

    def _condition(self) -> list[Path]:
        left = self._typed()
        if not self._eat("name", "and"):
            return left
        right = self._typed()
        self._need("sign", "!=")
        self._need("name", "false")
        # Only the one form R4 uses (Patient.deceased): the same path exists and is not false.
        if [(*path, Step("exists")) for path in right] != left:
            raise _outside("a condition")
        return [(*path, Step("exists-not-false")) for path in right]

    def _typed(self) -> list[Path]:
        paths = self._chain()
        if self._eat("name", "as"):
            paths = _append(paths, Step("as", self._type()))
        return paths

    def _chain(self) -> list[Path]:
        if self._eat("sign", "("):
            paths = self.union()
            self._need("sign", ")")
        else:
            paths = [(Step("root", self._take("name")),)]
        while True:
            if self._eat("sign", "."):
                paths = self._member(paths)
            elif self._eat("sign", "["):
                paths = _append(paths, Step("index", self._take("number")))
                self._need("sign", "]")
            else:
                return paths

    def _member(self, paths: list[Path]) -> list[Path]:
        name = self._take("name")
        if not self._eat("sign", "("):
            return _append(paths, Step("field", name))
        match name:
            case "as" | "ofType":
                step = Step("as", self._type())
            case "where":
                step = self._filter()
            case "exists":
                step = Step("exists")
            case _:
                raise _outside("a function")
        self._need("sign", ")")
        return _append(paths, step)

    def _filter(self) -> Step:
        name = self._take("name")
        if name == "resolve":
            self._need("sign", "(")
            self._need("sign", ")")
            self._need("name", "is")
            return Step("resolve", self._type())
        self._need("sign", "=")
        return Step("where", name, self._take("literal"))

    def _type(self) -> str:
        name = self._take("name")
        return _SYSTEM_TYPES.get(name, name)

    def _eat(self, kind: str, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == (kind, text):
            self._at += 1
            return True
        return False

    def _need(self, kind: str, text: str) -> None:
        if not self._eat(kind, text):
            raise _outside(f"something other than {text}")

    def _take(self, kind: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise _outside(f"something other than a {kind}")
        self._at += 1
        return self._tokens[self._at - 1][1]


def _append(paths: list[Path], step: Step) -> list[Path]:
    return [(*path, step) for path in paths]


def _outside(what: str) -> Problem:
    return Problem(Kind.INCORRECT, f"The search expression holds {what} where Salus cannot read it.")
