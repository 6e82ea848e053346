# SPDX-License-Identifier: Apache-2.0
"""The base address: capabilities, batch and transaction.  https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from salus import __version__
from salus.fhir import bundle, json
from salus.fhir.capability import capability
from salus.http.message import FHIR_JSON, Response
from salus.http.negotiate import check_accept, check_content
from salus.http.routes import Call
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.interactions.batch import batch
from salus.records.interactions.entry import Fresh, entries_of, results
from salus.records.interactions.transaction import transaction
from salus.records.operations.in_batch import operate
from salus.records.operations.table import OPERATIONS


async def metadata(call: Call) -> Response:
    """GET /fhir/metadata: needs no credential (https://hl7.org/fhir/R4/http.html#capabilities)."""
    check_accept(call.request)
    definitions = tuple(operation.definition for operation in OPERATIONS)
    return Response(200, json.encode(capability(call.context.base, __version__, definitions)), FHIR_JSON)


async def bundle_in(call: Call) -> Response:
    """POST /fhir."""
    check_accept(call.request)
    check_content(call.request)
    raw = await call.request.body()
    sent = json.decode(raw)
    kind = sent.get("type")
    if sent.get("resourceType") != "Bundle" or kind not in {"transaction", "batch"}:
        text = "Send a Bundle of type transaction or batch here; single resources go to /fhir/<type>."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("invalid", text, "Bundle.type"),))
    limit = call.context.services.limits.bundle_entries
    if kind == "batch":
        answers = await batch(call.context, entries_of(sent, limit), operate)
    else:
        answers = await transaction(call.context, Fresh(sent, raw, limit))
    return Response(200, bundle.responses(f"{kind}-response", results(answers)), FHIR_JSON)
