# SPDX-License-Identifier: Apache-2.0
"""The page on FHIRPath: its example runs, its lists of functions and limits are those of the engine."""

from __future__ import annotations

import contextlib
import io

from salus.fhir.fhirpath.context import LONGEST_TEXT, MOST_NODES
from salus.fhir.fhirpath.functions import FUNCTIONS
from salus.fhir.fhirpath.lexer import LONGEST
from salus.fhir.fhirpath.parser import DEEPEST
from salus.fhir.fhirpath.patterns import LONGEST as LONGEST_PATTERN
from tests.docs.pages import rows, sections, text_of

PAGE = text_of("docs/reference/fhirpath.md")
# https://hl7.org/fhirpath/N1/#functions; `is`, `as` and `ofType` are not in the table, since they take a type.
OF_N1 = {
    *("empty", "exists", "all", "allTrue", "anyTrue", "allFalse", "anyFalse", "subsetOf", "supersetOf", "count"),
    *("distinct", "isDistinct", "where", "select", "repeat", "single", "first", "last", "tail", "skip", "take"),
    *("intersect", "exclude", "union", "combine", "iif", "not", "aggregate", "children", "descendants", "trace"),
    *("now", "timeOfDay", "today", "type", "indexOf", "substring", "startsWith", "endsWith", "contains", "upper"),
    *("lower", "replace", "matches", "replaceMatches", "length", "toChars", "abs", "ceiling", "exp", "floor", "ln"),
    *("log", "power", "round", "sqrt", "truncate"),
    *(f"{verb}{kind}" for verb in ("to", "convertsTo") for kind in ["Boolean", "Integer", "Decimal", "String", "Date"]),
    *(f"{verb}{kind}" for verb in ("to", "convertsTo") for kind in ("DateTime", "Time", "Quantity")),
}


def named(row: str) -> set[str]:
    cells = {cells[0]: cells[1] for cells in rows(sections(PAGE)["What is there"])}
    return {part for part in cells[row].replace("`", "").split(", ") if part}


def test_the_example_prints_what_the_page_says() -> None:
    parts = PAGE.split("```")
    code, said = parts[1].removeprefix("python\n"), parts[3].removeprefix("text\n")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})  # noqa: S102 - our own page
    assert printed.getvalue() == said


def test_every_function_is_on_the_page_or_in_the_standard() -> None:
    assert set(FUNCTIONS) == OF_N1 | named("of later versions") | named("of R4")


def test_the_limits_are_those_of_the_engine() -> None:
    limits = {row[0]: row[1] for row in rows(sections(PAGE)["Limits"])}
    assert limits["length of an expression"] == f"{LONGEST:,} characters"
    assert limits["nesting"].startswith(f"{DEEPEST} levels")
    assert limits["elements visited by one evaluation"].startswith(f"{MOST_NODES:,};")
    assert limits["a text that is made"] == f"{LONGEST_TEXT >> 20} MB"
    assert limits["regular expressions"].startswith(f"{LONGEST_PATTERN:,} characters")
