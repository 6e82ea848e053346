# SPDX-License-Identifier: Apache-2.0
"""What must be there for a constraint to be broken at all.

`value.empty() or component.code.where(…).empty()` can fail only where both `value` and `component` are present.
Such conditions are derived from the syntax and written as Python over a JSON object, so that the ordinary element
costs a look into a dictionary. A condition may be wider than need be, never narrower: where it does not hold, the
constraint is kept. An expression that is understood too little gets the condition `True`.
"""

from __future__ import annotations

from typing import Final

from salus.fhir.fhirpath.syntax import Binary, Call, Indexer, Member, Path, Syntax, TypeTest
from salus.fhir.validate.members import names

ALWAYS: Final = "True"
# Functions that find nothing where there was nothing.
_KEEPING: Final = frozenset(
    {
        *("where", "select", "first", "last", "tail", "skip", "take", "ofType", "as", "is", "distinct", "trace"),
        *("extension", "resolve", "toInteger", "toString", "toDecimal", "startsWith", "contains", "matches", "length"),
        *("substring", "replaceMatches", "lower", "upper", "not", "single", "repeat", "intersect", "memberOf"),
    }
)
# Functions that are true where there was nothing.
_TRUE_OF_NOTHING: Final = frozenset({"empty", "isDistinct", "all", "allTrue"})
# Functions whose answer is never empty.
_TOTAL: Final = frozenset({*_TRUE_OF_NOTHING, "exists", "hasValue", "anyTrue", "anyFalse", "allFalse"})


class Presence:
    """Derives conditions for expressions on one type.

    Args:
        path: type or backbone path; "" where the focus is no object of a single type.
        variable: name of the object in the conditions.
    """

    def __init__(self, path: str, variable: str) -> None:
        self.path = path
        self.variable = variable

    def may_fail(self, syntax: Syntax) -> str:
        """A condition without which the expression is true."""
        match syntax:
            case Binary("and", left, right):
                return _either(self.may_fail(left), self.may_fail(right))
            case Binary("or", left, right):
                return _both(self.may_fail(left), self.may_fail(right))
            case Binary("implies", left, right):
                return _both(self.may_matter(left), self.may_fail(right))
            case Path(None, (Member(name), Call("exists", (), _))):
                return self.absent(name)
            case Path(start, (*before, Call(last, _, _), Call("not", (), _))) if last in _TOTAL:
                return self.may_hold(Path(start, (*before, syntax.steps[-2])))
            case Path(None, (Call("where", (criteria,), _), *rest, Call("empty", (), _))) if _keeps(tuple(rest)):
                return self.may_hold(criteria)
            case Path(None, (Member(name), *_, Call(last, _, _))) if last in _TRUE_OF_NOTHING:
                return self.present(name) if _keeps(syntax.steps[1:-1]) else ALWAYS
            case _:
                return ALWAYS

    def may_matter(self, syntax: Syntax) -> str:
        """A condition without which the expression is false, as the left side of `implies`."""
        match syntax:
            case Binary("and", left, right):
                return _both(self.may_matter(left), self.may_matter(right))
            case Binary("or", left, right):
                return _either(self.may_matter(left), self.may_matter(right))
            case Path(_, (*_, Call(last, _, _))) if last in _TOTAL:
                return self.may_hold(syntax)
            case _:
                return ALWAYS

    def may_hold(self, syntax: Syntax) -> str:
        """A condition without which the expression is not true."""
        match syntax:
            case Binary("and", left, right):
                return _both(self.may_hold(left), self.may_hold(right))
            case Binary("or", left, right):
                return _either(self.may_hold(left), self.may_hold(right))
            case Path(None, (Member(name), *_, Call("exists", _, _))) if _keeps(syntax.steps[1:-1]):
                return self.present(name)
            case Path(None, (Member(name), Call("empty", (), _))):
                return self.absent(name)
            case _:
                return self.may_be(syntax)

    def may_be(self, syntax: Syntax) -> str:
        """A condition without which the expression is empty."""
        match syntax:
            case Binary("=" | "!=" | "<" | ">" | "<=" | ">=" | "+" | "-" | "*" | "/", left, right):
                return _both(self.may_be(left), self.may_be(right))
            case Binary("in", left, _):
                return self.may_be(left)
            case TypeTest(_, operand):
                return self.may_be(operand)
            case Path(None, (Member(name), *rest)) if _keeps(tuple(rest)):
                return self.present(name)
            case Path(Path() | Binary() as start, rest) if _keeps(rest):
                return self.may_be(start)
            case _:
                return ALWAYS

    def absent(self, element: str) -> str:
        """The condition that an element is not there."""
        found = self.present(element)
        return ALWAYS if found == ALWAYS else f"not {found}"

    def present(self, element: str) -> str:
        """The condition that an element is there."""
        try:
            keys = names(self.path, element)
        except KeyError:
            return ALWAYS
        return _either(*[f"{key!r} in {self.variable}" for key in keys])


def _keeps(steps: tuple[Member | Call | Indexer, ...]) -> bool:
    return all(not isinstance(step, Call) or step.name in _KEEPING for step in steps)


def _both(*conditions: str) -> str:
    found = sorted({c for c in conditions if c != ALWAYS}, key=len)  # the quick ones first
    return "(" + " and ".join(found) + ")" if len(found) > 1 else found[0] if found else ALWAYS


def _either(*conditions: str) -> str:
    if ALWAYS in conditions:
        return ALWAYS
    found = list(dict.fromkeys(conditions))
    return "(" + " or ".join(found) + ")" if len(found) > 1 else found[0]
