# SPDX-License-Identifier: Apache-2.0
"""Applications that are started from within the record (SMART App Launch 2.2, EHR launch).

Whoever has a chart open starts an application with it. They must be allowed to read the patient and the encounter,
which must belong together; what the application may see is decided later, when it asks, and by the same person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from salus.access.permissions import Permission
from salus.audit.event import EventType
from salus.fhir import json
from salus.http.message import JSON, Response
from salus.http.negotiate import check_content
from salus.http.routes import SELF, Call, Handler, Route
from salus.identity.clients.client import Client
from salus.identity.clients.launch import Launched, Launches, context_text
from salus.identity.clients.registry import Clients
from salus.identity.smart.context import LaunchContext
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context, audited
from salus.records.store.schema import Row
from salus.records.store.store import entities
from salus.records.wording import attempted

_WORDS = "Start an application with client_id, patient, and if you like encounter, intent and fhirContext."


class Launching(Protocol):
    """The services of `salus.identity.clients` that launches use."""

    clients: Clients
    launches: Launches


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"fhir_context": "fhirContext"}):
    """What somebody wants to start, and with what.

    Attributes:
        client_id: the application.
        patient, encounter: ids of what is open; `encounter` may be empty.
        intent: what the application should do.
        fhir_context: further references (`fhirContext`).
        need_patient_banner: whether the application has to show who the patient is.
    """

    client_id: str
    patient: str
    encounter: str = ""
    intent: str = ""
    fhir_context: list[dict[str, Any]] = []
    need_patient_banner: bool = True


def launch_routes(apps: Launching) -> list[Route]:
    """The routes, for `salus.http.table`."""
    started = "Starts an application for the patient who is open."
    return [
        Route("GET", "/launches", SELF, _list(apps), "Lists applications that can be started."),
        Route("POST", "/launches", Permission.RECORD_READ, _start(apps), started),
    ]


def launchable(apps: Launching, tenant: str) -> list[Client]:
    """Applications that can be started from within the record."""
    return [client for client in apps.clients.all(tenant) if client.launch_uri and not client.disabled]


@audited(EventType.CLIENT_LAUNCH)
async def launch(ctx: Context, apps: Launching, wanted: Wanted, *, session: str = "") -> Launched:
    """Start an application with what is open.

    Args:
        ctx: who starts it.
        apps: the registry, and where launches wait.
        wanted: what is started.
        session: of the browser that goes on; empty when it is not known, then any of this person.

    Raises:
        Problem: INVALID for an application that is not known or cannot be started, and for an encounter of another
            patient; NOT_FOUND for a patient or encounter that is absent or hidden; FORBIDDEN without a grant.
    """
    ctx.entities = attempted("Patient", wanted.patient)
    if ctx.actor.client:
        raise Problem(Kind.FORBIDDEN, "Only a person starts an application.", "an application tried to start another")
    patient = _visible(ctx, "Patient", wanted.patient)
    if wanted.encounter and _visible(ctx, "Encounter", wanted.encounter).owners != patient.owners:
        raise _unfit("The encounter is not one of this patient.", "encounter")
    client = apps.clients.find(ctx.actor.tenant, wanted.client_id)
    if client is None or client.disabled or not client.launch_uri:
        raise _unfit("This application is not known, or cannot be started from here.", "client_id")
    context = LaunchContext(
        ctx.actor.id,
        session,
        wanted.patient,
        wanted.encounter,
        context_text(wanted.fhir_context),
        wanted.intent,
        wanted.need_patient_banner,
    )
    unit = Unit()
    launched = apps.launches.start(unit, client, context, ctx.base)
    touched = entities(patient.owners, "Patient", wanted.patient, patient.version, "R")
    reason = f"client {client.id} started"
    await ctx.commit(unit, ctx.event(EventType.CLIENT_LAUNCH, reason=reason, entities=touched))
    return launched


def _visible(ctx: Context, type_: str, id_: str) -> Row:
    permit = ctx.decide(Permission.RECORD_READ, type_)
    row = ctx.store.newest(permit, id_)
    if row is None or row.deleted:
        raise Problem(Kind.NOT_FOUND, f"There is no such {type_}.")
    ctx.store.open(permit, row)  # what only claims to be this record does not open
    return row


def _list(apps: Launching) -> Handler:
    async def handler(call: Call) -> Response:
        ctx = call.context
        found: Sequence[Mapping[str, str]] = [
            {"client_id": each.id, "client_name": each.name} for each in launchable(apps, ctx.actor.tenant)
        ]
        return Response(200, json.encode({"applications": found}), JSON)

    return handler


def _start(apps: Launching) -> Handler:
    async def handler(call: Call) -> Response:
        ctx = call.context
        if check_content(call.request) != "json":
            raise Problem(Kind.FORMAT, _WORDS, issues=(Issue("not-supported", _WORDS),))
        try:
            wanted = msgspec.convert(json.decode(await call.request.body()), Wanted)
        except msgspec.ValidationError:
            raise Problem(Kind.INCORRECT, _WORDS) from None
        launched = await launch(ctx, apps, wanted)
        answer = {"launch": launched.handle, "address": launched.address, "expires": instant(launched.expires_ms)}
        return Response(201, json.encode(answer), JSON)

    return handler


def _unfit(text: str, place: str) -> Problem:
    return Problem(Kind.INVALID, text, issues=(Issue("invalid", text, place),))
