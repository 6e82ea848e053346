# SPDX-License-Identifier: Apache-2.0
"""Every route of Salus in one place; `docs/reference/routes.md` lists the same, and a test compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from salus.access.permissions import Permission
from salus.audit.reader import AuditReader
from salus.http import auth_api, health
from salus.http.audit_api import list_events, read_event
from salus.http.auth_api import Identity
from salus.http.fhir_api import binary, history, instance, metadata, operations, searching, system, type_level
from salus.http.offered import offered
from salus.http.routes import PUBLIC, SELF, Route, Router
from salus.records.operations.table import OPERATIONS

_ALL = "record:*"
"""A Bundle: each entry asks for its own permission."""

_COMPARTMENT = "Searches a compartment, `*` for all types."


def routes(
    identity: Identity,
    audit: AuditReader,
    ready: Callable[[], None],
    pages: Sequence[Route] = (),
    apps: Sequence[Route] = (),
    administration: Sequence[Route] = (),
) -> Router:
    """The route table.

    Args:
        identity: signs people in and out.
        audit: reads the audit log.
        ready: raises when keys or database are away.
        pages: the routes for people, which `salus.web` draws.
        apps: the routes for applications and directories (`oauth_api.table`, `applications`, `scim_api.table`), which
            come before those of records.
        administration: the routes for administrators (`users_api`).
    """
    p = Permission
    record = "/fhir/{type}/{id}"
    operation = "/fhir/OperationDefinition"
    file = "/fhir/Binary/{id}"
    definitions = operations.list_definitions(OPERATIONS)
    known: list[Route] = []
    described = metadata.metadata(lambda: offered(known))
    known.extend(
        [
            Route("GET", "/health", PUBLIC, health.live, "Says that the process is alive."),
            Route("GET", "/health/ready", PUBLIC, health.ready(ready), "Says that keys and database answer."),
            Route("POST", "/auth/token", PUBLIC, auth_api.sign_in(identity), "Signs a person in."),
            Route("POST", "/auth/sign-out", SELF, auth_api.sign_out(identity), "Ends the token it is sent with."),
            *apps,
            Route("GET", "/fhir/metadata", PUBLIC, described, "What this server can do."),
            Route(
                "GET",
                "/fhir/AuditEvent",
                p.AUDIT_READ,
                list_events(audit),
                "Lists the audit log, newest first.",
            ),
            Route("GET", "/fhir/AuditEvent/{id}", p.AUDIT_READ, read_event(audit), "Reads one audit entry."),
            Route("GET", operation, PUBLIC, definitions, "Searches the operations."),
            Route("POST", f"{operation}/_search", PUBLIC, definitions, "Searches the operations."),
            Route(
                "GET", f"{operation}/{{id}}", PUBLIC, operations.read_definition(OPERATIONS), "Describes an operation."
            ),
            *operations.routes_of(OPERATIONS),
            Route("POST", "/fhir", _ALL, system.bundle_in, "Carries out a transaction or batch Bundle."),
            Route("GET", "/fhir/_history", p.RECORD_HISTORY, history.of_system, "History of everything."),
            Route("GET", "/fhir", p.RECORD_SEARCH, searching.of_system, "Searches several types."),
            Route("POST", "/fhir/_search", p.RECORD_SEARCH, searching.of_system, "Searches several types."),
            Route("POST", "/fhir/Binary", p.RECORD_CREATE, binary.create, "Keeps a file of any type."),
            Route("GET", file, p.RECORD_READ, binary.read, "Gives a file, whole or in part."),
            Route("PUT", file, p.RECORD_UPDATE, binary.update, "Replaces a file, or makes it."),
            Route("GET", f"{file}/_history/{{vid}}", p.RECORD_VREAD, binary.vread, "Gives one version of a file."),
            Route("GET", "/fhir/{type}", p.RECORD_SEARCH, searching.of_type, "Searches a type."),
            Route("POST", "/fhir/{type}", p.RECORD_CREATE, type_level.create, "Creates a record."),
            Route("PUT", "/fhir/{type}", p.RECORD_UPDATE, type_level.conditional_update, "Conditional update."),
            Route("PATCH", "/fhir/{type}", p.RECORD_UPDATE, type_level.conditional_patch, "Conditional patch."),
            Route(
                "DELETE",
                "/fhir/{type}",
                p.RECORD_DELETE,
                type_level.conditional_delete,
                "Conditional delete.",
            ),
            Route("POST", "/fhir/{type}/_search", p.RECORD_SEARCH, searching.of_type, "Searches a type."),
            Route("GET", "/fhir/{type}/_history", p.RECORD_HISTORY, history.of_type, "History of a type."),
            Route("GET", record, p.RECORD_READ, instance.read, "Reads a record."),
            Route("PUT", record, p.RECORD_UPDATE, instance.update, "Replaces a record, or makes it."),
            Route("PATCH", record, p.RECORD_UPDATE, instance.patch, "Changes a part of a record."),
            Route("DELETE", record, p.RECORD_DELETE, instance.delete, "Deletes a record."),
            Route("GET", f"{record}/_history", p.RECORD_HISTORY, history.of_instance, "History of a record."),
            Route("GET", f"{record}/_history/{{vid}}", p.RECORD_VREAD, instance.vread, "Reads one version."),
            Route("GET", f"{record}/{{inner}}", p.RECORD_SEARCH, searching.of_compartment, _COMPARTMENT),
            Route("POST", f"{record}/{{inner}}/_search", p.RECORD_SEARCH, searching.of_compartment, _COMPARTMENT),
            Route("POST", f"{record}/_search", p.RECORD_SEARCH, searching.of_compartment, _COMPARTMENT),
        ]
    )
    known.extend((*administration, *pages))
    return Router(known)
