# SPDX-License-Identifier: Apache-2.0
"""From text to tokens (https://hl7.org/fhirpath/N1/#lexical-elements)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, NoReturn

from salus.kernel.errors import Issue, Kind, Problem

LONGEST: Final = 20_000  # characters

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n\r]*|/\*.*?\*/)
    |(?P<moment>@(?:T[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?
        |[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?
         (?:T(?:[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)?))
    |(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<quoted>`(?:[^`\\]|\\.)*`)
    |(?P<constant>%(?:(?:vs|ext)-[A-Za-z0-9.\-]+|[A-Za-z_][A-Za-z0-9_]*
        |'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"))
    |(?P<variable>\$(?:this|index|total)\b)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark><=|>=|!=|!~|[=~<>+\-*/&|.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPES: Final = {"r": "\r", "n": "\n", "t": "\t", "f": "\f"}


class Token(NamedTuple):
    """One token.

    Attributes:
        kind: `moment`, `number`, `string`, `quoted`, `constant`, `variable`, `word`, `mark` or `end`.
        text: without quotes, escapes, `@`, `%` and `$`.
        at: position of its first character, from 0.
    """

    kind: str
    text: str
    at: int


def tokens(text: str) -> list[Token]:
    """Every token but space and comments, and one of kind `end`.

    Raises:
        Problem: INCORRECT, with the position of what is no token.
    """
    if len(text) > LONGEST:
        raise Problem(Kind.INCORRECT, f"A FHIRPath expression may have {LONGEST} characters at most.")
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            wrong(at, "no FHIRPath begins like this")
        kind = str(match.lastgroup)
        if kind != "space":
            found.append(Token(kind, _content(kind, match[0]), at))
        at = match.end()
    found.append(Token("end", "", len(text)))
    return found


def wrong(at: int, words: str) -> NoReturn:
    """Refuse an expression.

    Args:
        at: position from 0; people are told it from 1.
        words: what is wrong there; never a part of the text.

    Raises:
        Problem: INCORRECT.
    """
    issue = Issue("invalid", f"The FHIRPath expression is wrong at character {at + 1}: {words}.")
    raise Problem(Kind.INCORRECT, issue.text, issues=(issue,))


def _content(kind: str, text: str) -> str:
    if kind in ("string", "quoted"):
        return _unescaped(text[1:-1])
    if kind == "constant":
        return _unescaped(text[2:-1]) if text[1] in "'`\"" else text[1:]
    return text[1:] if kind in ("moment", "variable") else text


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    # An escape that is not in the list stands for its character: https://hl7.org/fhirpath/N1/#string.
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _ESCAPES.get(m[2], m[2]), text)
