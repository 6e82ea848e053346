# SPDX-License-Identifier: Apache-2.0
"""Finding a patient, for pages on which one is chosen: only those that the person's policy shows them.

The search is the same as over FHIR: decided, filtered and audited by `salus.records`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from salus.fhir import json
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context
from salus.records.interactions.read import read
from salus.records.interactions.search import search

MOST = 20
"""Patients on a page; who does not find theirs types more of the name."""

_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Found:
    """A record on a page.

    Attributes:
        id: of the record.
        name: what people know it by.
        more: what tells it from others of the same name.
    """

    id: str
    name: str
    more: str


async def patients(ctx: Context, words: str) -> list[Found]:
    """Patients by a part of their name; newest first.

    Raises:
        Problem: FORBIDDEN for somebody who may not search patients.
    """
    wanted = words.strip()[:_LONGEST]
    asked = [("name", part.replace("\\", "").replace(",", "")) for part in wanted.split()[:4]]
    page = json.decode(await search(ctx, "Patient", [*asked, ("_count", str(MOST))]))
    return [_patient(entry["resource"]) for entry in page.get("entry", ()) if entry["search"]["mode"] == "match"]


async def patient(ctx: Context, id_: str) -> Found:
    """One patient. Raises Problem(NOT_FOUND) when absent or hidden."""
    return _patient(json.decode((await read(ctx, "Patient", id_)).body))


async def encounters(ctx: Context, patient_id: str) -> list[Found]:
    """The latest visits of a patient."""
    asked = [("patient", f"Patient/{patient_id}"), ("_sort", "-date"), ("_count", str(MOST))]
    page = json.decode(await search(ctx, "Encounter", asked))
    return [_encounter(entry["resource"]) for entry in page.get("entry", ()) if entry["search"]["mode"] == "match"]


async def encounter(ctx: Context, id_: str, patient_id: str) -> Found:
    """One visit of a patient. Raises Problem(NOT_FOUND) when absent, hidden or somebody else's."""
    resource = json.decode((await read(ctx, "Encounter", id_)).body)
    if _text(resource, "subject", "reference") != f"Patient/{patient_id}":
        raise Problem(Kind.NOT_FOUND, "There is no such visit of this patient.", "another patient's encounter")
    return _encounter(resource)


def _patient(resource: dict[str, Any]) -> Found:
    named = [_name(one) for one in _list(resource.get("name")) if one.get("use") != "old"]
    born = resource.get("birthDate")
    more = f"born {born}" if isinstance(born, str) else "birth date not known"
    return Found(resource["id"], next((name for name in named if name), "Name not known"), more)


def _name(name: dict[str, Any]) -> str:
    text = name.get("text")
    if isinstance(text, str):
        return text
    parts = [*_list(name.get("given"), str), name.get("family")]
    return " ".join(part for part in parts if isinstance(part, str))


def _encounter(resource: dict[str, Any]) -> Found:
    began = _text(resource, "period", "start")[:10] or "date not known"
    kinds = [one.get("text") or _first_display(one) for one in _list(resource.get("type"))]
    kind = next((kind for kind in kinds if isinstance(kind, str) and kind), "Visit")
    return Found(resource["id"], kind, began)


def _first_display(concept: dict[str, Any]) -> str:
    shown = (coding.get("display") for coding in _list(concept.get("coding")))
    return next((text for text in shown if isinstance(text, str)), "")


def _text(resource: dict[str, Any], name: str, inner: str) -> str:
    found = resource.get(name)
    value = found.get(inner) if isinstance(found, dict) else None
    return value if isinstance(value, str) else ""


def _list(value: Any, kind: type = dict) -> list[Any]:
    return [one for one in value if isinstance(one, kind)] if isinstance(value, list) else []
