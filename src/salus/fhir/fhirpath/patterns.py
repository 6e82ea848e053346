# SPDX-License-Identifier: Apache-2.0
"""Regular expressions that cannot explode: RE2 reads a text once, whatever the expression.

What needs to go back in the text (back-references, look-around) is refused. The point matches line ends too
(https://hl7.org/fhirpath/N1/#matchesregex-string-boolean). The library is loaded when the first pattern is used.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from salus.fhir.fhirpath.context import Context, fault

LONGEST: Final = 2_000  # characters of a pattern
_MEMORY: Final = 1 << 18  # bytes that a compiled pattern may take
_COMPILING: Final = 2_000  # what a new pattern draws on the budget
_REPLACING: Final = 5  # what each replacement does
_GROUP: Final = re.compile(r"\\(.)|\$(?:\{(\w+)\}|([0-9]{1,2}))", re.DOTALL | re.ASCII)


def _pattern(pattern: str, text: str, ctx: Context) -> Any:
    """The compiled expression; reading the text, and compiling what is new, draw on the budget."""
    before = _compiled.cache_info().misses
    compiled = _compiled(pattern)
    ctx.spend(1 + (len(text) >> 6) + _COMPILING * (_compiled.cache_info().misses - before))
    return compiled


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    import re2

    if len(pattern) > LONGEST:
        fault("the regular expression is too long")
    options = re2.Options()
    options.dot_nl = True
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return fault("the regular expression is not valid, or uses what could take endless time")


def found(ctx: Context, text: str, pattern: str) -> bool:
    """Whether a part of the text matches."""
    return _pattern(pattern, text, ctx).search(text) is not None


def fits(ctx: Context, text: str, pattern: str) -> bool:
    """Whether the whole text matches."""
    return _pattern(pattern, text, ctx).fullmatch(text) is not None


def replace(ctx: Context, text: str, pattern: str, substitution: str) -> str:
    r"""Every match replaced.

    Args:
        ctx: the evaluation.
        text: where to look.
        pattern: what to replace.
        substitution: may name groups as `$1` or `${name}`; `\$` is a dollar sign.
    """
    compiled = _pattern(pattern, text, ctx)

    def written(match: Any) -> str:
        ctx.spend(_REPLACING)

        def group(reference: re.Match[str]) -> str:
            if reference[1]:
                return reference[1]
            number = reference[2] or int(reference[3])
            try:
                return match.group(number) or ""
            except (IndexError, KeyError):
                return fault("the substitution names a group that the regular expression does not have")

        return _GROUP.sub(group, substitution)

    made = compiled.sub(written, text)
    return made if type(made) is str else str(made)
