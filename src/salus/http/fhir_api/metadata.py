# SPDX-License-Identifier: Apache-2.0
"""What this server can do: CapabilityStatement and TerminologyCapabilities.

https://hl7.org/fhir/R4/http.html#capabilities
"""

from __future__ import annotations

from collections.abc import Callable

from salus import __version__
from salus.fhir import json
from salus.fhir.capability import Offered, capability, terminology_capability
from salus.http.message import FHIR_JSON, Response
from salus.http.negotiate import check_accept
from salus.http.routes import Call, Handler
from salus.kernel.errors import Issue, Kind, Problem
from salus.knowledge.profiles import profiles
from salus.records.operations.table import OPERATIONS

MODES = ("full", "normative", "terminology")


def metadata(offered: Callable[[], Offered]) -> Handler:
    """GET /fhir/metadata: needs no credential.

    Args:
        offered: what the routes answer, asked for at each call.
    """

    async def handle(call: Call) -> Response:
        check_accept(call.request)
        mode = next((value for name, value in call.request.query if name == "mode"), "full")
        if mode not in MODES:
            text = f"mode must be one of {', '.join(MODES)}."
            raise Problem(Kind.INCORRECT, text, issues=(Issue("value", text, "query.mode"),))
        ctx = call.context
        definitions = tuple(operation.definition for operation in OPERATIONS)
        if mode == "terminology":
            systems = tuple(sorted(ctx.knowledge.systems()))
            return Response(200, json.encode(terminology_capability(ctx.base, systems, definitions)), FHIR_JSON)
        described = capability(
            ctx.base,
            __version__,
            offered(),
            definitions,
            deletes_several=ctx.services.limits.conditional_deletes > 1,
            profiles=profiles(ctx.knowledge),
            registry=ctx.lens.registry,
        )
        return Response(200, json.encode(described), FHIR_JSON)

    return handle
