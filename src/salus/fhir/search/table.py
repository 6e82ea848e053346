# SPDX-License-Identifier: Apache-2.0
"""The compiled table of search parameters and the patient compartment, as HL7 defines them (`ORIGIN.md`)."""

from __future__ import annotations

from functools import cache
from importlib import resources

import msgspec
import zstandard


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """A search parameter as HL7 defines it.

    Attributes:
        code: the name in a query.
        kind: SearchParameter.type.
        base: resource types it applies to; `Resource` and `DomainResource` stand for all below them.
        expression: FHIRPath, or "".
        url: canonical URL.
        components: of a composite, in order: URL of the definition whose kind each part has, and the FHIRPath
            of the part below an item of `expression`.
        kinds: of the components, where the table does not have those definitions.
    """

    code: str
    kind: str
    base: tuple[str, ...]
    expression: str
    url: str
    components: tuple[tuple[str, str], ...] = ()
    kinds: tuple[str, ...] = ()


class Table(msgspec.Struct, frozen=True):
    """Everything that is compiled.

    Attributes:
        parameters: the definitions in the order of their URL.
        systems: the code system of each value set that draws from exactly one, by value set URL.
        compartment: by resource type, codes of the parameters that put a record into a patient's compartment.
    """

    parameters: tuple[Definition, ...]
    systems: dict[str, str]
    compartment: dict[str, tuple[str, ...]]


@cache
def table() -> Table:
    """The table; read and unpacked once per process (a few milliseconds)."""
    packed = resources.files(__package__).joinpath("parameters.msgpack.zst").read_bytes()
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(packed), type=Table)
