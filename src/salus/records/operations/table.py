# SPDX-License-Identifier: Apache-2.0
"""Every operation of Salus in one place; `docs/reference/operations.md` lists the same, and a test compares."""

from __future__ import annotations

from salus.records.operations import (
    codes,
    concept_maps,
    document,
    everything,
    graphql,
    lastn,
    match,
    meta,
    validate,
    value_sets,
)
from salus.records.operations.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    everything.PATIENT_EVERYTHING,
    everything.ENCOUNTER_EVERYTHING,
    document.DOCUMENT,
    lastn.LASTN,
    match.MATCH,
    graphql.GRAPHQL,
    meta.META,
    meta.META_ADD,
    meta.META_DELETE,
    codes.LOOKUP,
    codes.VALIDATE_CODE,
    codes.SUBSUMES,
    value_sets.EXPAND,
    value_sets.VALIDATE_CODE,
    concept_maps.TRANSLATE,
    validate.VALIDATE,
)


def named(code: str, type_: str = "", id_: str = "") -> Operation | None:
    """The operation that an address calls; None when there is none.

    Args:
        code: the name without `$`.
        type_, id_: of the address.
    """
    level = "instance" if id_ else "type" if type_ else "system"
    for operation in OPERATIONS:
        known = operation.definition
        if known.code == code and level in known.levels and (not type_ or not known.types or type_ in known.types):
            return operation
    return None
