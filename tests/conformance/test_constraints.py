# SPDX-License-Identifier: Apache-2.0
"""R4's constraints over HL7's examples: what the schema says of a constraint is what its expression says.

Each example is also thinned out, so that constraints are broken: optional elements are taken away at random.
"""

from __future__ import annotations

import gzip
import random
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from salus.fhir.definitions import fields, structure
from salus.fhir.fhirpath import Expression, Node, compile, root  # noqa: A004
from salus.fhir.json import decode
from salus.fhir.validate import invariants
from salus.fhir.validate.constraints import breaches, breaks
from salus.fhir.validate.constraints.rules import meant
from salus.fhir.validate.finding import Severity

EXAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "r4-examples.ndjson.gz"
pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="../shared/data/r4-examples.ndjson.gz is not there")
DRAFT = {"$schema": "https://json-schema.org/draft/2019-09/schema"}


@cache
def lines() -> list[bytes]:
    return gzip.decompress(EXAMPLES.read_bytes()).splitlines()


@cache
def in_schema() -> dict[str, list[tuple[str, Expression, Any]]]:
    """Constraints that the schema holds: key, expression, schema, by type."""
    found = defaultdict(list)
    for path in structure().types:
        expressions = {rule.key: rule.expression for rule in structure().constraints.get(path, ())}
        for key, _, schema in (*invariants.translated(path), *invariants.written(path)):
            compiled = jsonschema_rs.validator_for({**DRAFT, **schema})
            found[path].append((key, compile(meant(expressions[key])), compiled))
    return found


def nodes(resource: dict[str, Any]) -> list[Node]:
    found, waiting = [], [root(resource)]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += node.children()
    return found


def thinned(line: bytes, dice: random.Random) -> dict[str, Any]:
    """The example without a few of its optional elements."""
    resource = decode(line)
    objects = [node for node in nodes(resource) if isinstance(node.value, dict) and node.type in structure().types]
    for node in dice.sample(objects, min(8, len(objects))):
        known = fields(node.type)
        optional = [key for key in node.value if key in known and known[key].min == 0]
        if optional:
            del node.value[dice.choice(optional)]
    return resource


def test_the_schema_says_what_the_expressions_say():
    dice = random.Random(7)
    seen: Counter[bool] = Counter()
    for line in lines()[::6]:
        for resource in (decode(line), thinned(line, dice)):
            for node in nodes(resource):
                for key, expression, schema in in_schema().get(node.type, ()):
                    kept = expression.holds(node)
                    assert schema.is_valid(node.value) is kept, (key, node.place)
                    seen[kept] += 1
    assert seen[False] > 50


def test_the_quick_look_agrees_with_the_careful_one():
    dice = random.Random(11)
    broken = 0
    for line in lines()[::6]:
        for resource in (decode(line), thinned(line, dice)):
            wrong = any(finding.severity is Severity.ERROR for finding in breaches(resource, warnings=False))
            assert breaks(resource) is wrong, resource.get("id")
            broken += wrong
    assert broken > 10
