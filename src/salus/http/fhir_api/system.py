# SPDX-License-Identifier: Apache-2.0
"""The base address: batch and transaction.  https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from salus.fhir import bundle, json
from salus.http.formats import resource_of
from salus.http.message import FHIR_JSON, Response
from salus.http.negotiate import Preferences, check_accept, check_content
from salus.http.routes import Call
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.interactions.answer import results
from salus.records.interactions.batch import batch
from salus.records.interactions.entry import Fresh, entries_apart
from salus.records.interactions.targets import PIN
from salus.records.interactions.transaction import transaction
from salus.records.operations.in_batch import operate


async def bundle_in(call: Call) -> Response:
    """POST /fhir."""
    check_accept(call.request)
    media = check_content(call.request)
    raw = await call.request.body()
    apart = json.decode_apart(raw) if media != "xml" else None
    sent, texts = apart if apart is not None else (await resource_of(raw, media), None)
    kind = sent.get("type")
    if sent.get("resourceType") != "Bundle" or kind not in {"transaction", "batch"}:
        text = "Send a Bundle of type transaction or batch here; single resources go to /fhir/<type>."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("invalid", text, "Bundle.type"),))
    ctx = call.context
    limit = ctx.services.limits.bundle_entries
    base = ctx.base + "/"
    if kind == "batch":
        sent = sent if texts is None else await resource_of(raw, media)
        answers = await batch(ctx, entries_apart(sent, limit, base), operate)
    else:
        again = raw if media != "xml" else json.encode(sent)
        answers = await transaction(ctx, Fresh(sent, again, limit, base, texts), pins=PIN.encode() in raw)
    returns = Preferences.of(call.request).returns
    return Response(200, bundle.responses(f"{kind}-response", results(answers, returns)), FHIR_JSON)
