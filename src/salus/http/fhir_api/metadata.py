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

_KEPT = 64  # tenants

MODES = ("full", "normative", "terminology")


def metadata(offered: Callable[[], Offered]) -> Handler:
    """GET /fhir/metadata: needs no credential.

    Args:
        offered: what the routes answer, asked for at each call.
    """

    terminology: dict[str, tuple[int, bytes]] = {}  # by base; the list of code systems takes a while to make

    async def handle(call: Call) -> Response:
        check_accept(call.request)
        mode = next((value for name, value in call.request.query if name == "mode"), "full")
        if mode not in MODES:
            text = f"mode must be one of {', '.join(MODES)}."
            raise Problem(Kind.INCORRECT, text, issues=(Issue("value", text, "query.mode"),))
        ctx = call.context
        definitions = tuple(operation.definition for operation in OPERATIONS)
        if mode == "terminology":
            generation, body = terminology.get(ctx.base, (-1, b""))
            if generation != ctx.knowledge.generation:
                systems = tuple(sorted(ctx.knowledge.systems()))
                body = json.encode(terminology_capability(ctx.base, systems, definitions))
                if len(terminology) >= _KEPT:
                    terminology.clear()
                terminology[ctx.base] = ctx.knowledge.generation, body
            return Response(200, body, FHIR_JSON)
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
