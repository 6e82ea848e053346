# SPDX-License-Identifier: Apache-2.0
"""An entry of the log as a FHIR R4 AuditEvent (https://hl7.org/fhir/R4/auditevent.html).

Follows IHE Basic Audit Log Patterns where the log knows enough (https://profiles.ihe.net/ITI/BALP/): type and
subtype by interaction, the user as requestor with purpose of use, the server as destination, the
search base64 in a query entity, the request id as an entity of its own. The patient slice of BALP needs the
patient's id; the log keeps only a surrogate, so a patient appears when a Patient resource is among the
records, and not otherwise.

Pure: an opened entry in, a dictionary ready for JSON out.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from salus.audit.entry import Entry
from salus.audit.event import DESCRIPTIONS, Entity, Event, EventType, Outcome
from salus.kernel.clock import instant

Json = dict[str, Any]

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_REST = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ENTITY_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/dicom-audit-lifecycle"
_AGENT_TYPE = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
_BALP_ENTITY = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
_OWN_EVENT = "urn:salus:audit-event"
_OWN_ACCOUNT = "urn:salus:account"
_OWN_CLIENT = "urn:salus:client"

_Coded = tuple[str, str, str]  # system, code, display


def _rest(code: str, action: str) -> tuple[_Coded, _Coded, str]:
    return (_REST, "rest", "RESTful Operation"), (_INTERACTION, code, code), action


def _dicom(code: str, display: str, sub: tuple[str, str] | None, action: str) -> tuple[_Coded, _Coded | None, str]:
    return (_DCM, code, display), (_DCM, *sub) if sub else None, action


_ACCOUNT = ("110137", "User Security Attributes Changed")
_CONFIGURED = ("110129", "Security Configuration")
_SIGN_IN = ("110122", "Login")

# Types and subtypes: DICOM PS3.16 CID 400 to 403; actions: C create, R read, U update, D delete, E execute.
_KINDS: dict[EventType, tuple[_Coded, _Coded | None, str]] = {
    EventType.RECORD_READ: _rest("read", "R"),
    EventType.RECORD_VREAD: _rest("vread", "R"),
    EventType.RECORD_HISTORY: _rest("history", "R"),
    EventType.RECORD_SEARCH: _rest("search", "E"),
    EventType.RECORD_CREATE: _rest("create", "C"),
    EventType.RECORD_UPDATE: _rest("update", "U"),
    EventType.RECORD_DELETE: _rest("delete", "D"),
    EventType.RECORD_TRANSACTION: _rest("transaction", "E"),
    EventType.RECORD_BATCH: _rest("batch", "E"),
    EventType.RECORD_IMPORT: _dicom("110107", "Import", None, "C"),
    EventType.RECORD_OPERATION: _rest("operation", "E"),
    EventType.REQUEST_FAILED: _dicom("110100", "Application Activity", None, "E"),
    EventType.AUTH_SIGNIN: _dicom("110114", "User Authentication", _SIGN_IN, "E"),
    EventType.AUTH_SIGNOUT: _dicom("110114", "User Authentication", ("110123", "Logout"), "E"),
    EventType.AUTH_REFUSED: _dicom("110114", "User Authentication", _SIGN_IN, "E"),
    EventType.TOKEN_ISSUE: _dicom("110114", "User Authentication", None, "E"),
    EventType.TOKEN_REVOKE: _dicom("110114", "User Authentication", None, "E"),
    EventType.AUTH_STEP_UP: _dicom("110114", "User Authentication", _SIGN_IN, "E"),
    EventType.AUTH_RECOVERY: _dicom("110114", "User Authentication", None, "E"),
    EventType.FACTOR_BIND: _dicom("110113", "Security Alert", _ACCOUNT, "U"),
    EventType.FACTOR_UNBIND: _dicom("110113", "Security Alert", _ACCOUNT, "U"),
    EventType.SESSION_END: _dicom("110114", "User Authentication", ("110123", "Logout"), "E"),
    EventType.TOKEN_LEAKED: _dicom("110113", "Security Alert", _ACCOUNT, "D"),
    EventType.OAUTH_REQUEST: _dicom("110114", "User Authentication", None, "E"),
    EventType.OAUTH_CODE: _dicom("110114", "User Authentication", None, "E"),
    EventType.OAUTH_REFRESH: _dicom("110114", "User Authentication", None, "E"),
    EventType.OAUTH_REUSE: _dicom("110113", "Security Alert", _ACCOUNT, "D"),
    EventType.OAUTH_REFUSED: _dicom("110114", "User Authentication", None, "E"),
    EventType.OAUTH_REVOKE: _dicom("110114", "User Authentication", None, "D"),
    EventType.OAUTH_INTROSPECT: _dicom("110114", "User Authentication", None, "R"),
    EventType.OAUTH_USERINFO: _dicom("110114", "User Authentication", None, "R"),
    EventType.OAUTH_KEY: _dicom("110113", "Security Alert", _CONFIGURED, "C"),
    EventType.USER_CREATE: _dicom("110113", "Security Alert", _ACCOUNT, "C"),
    EventType.USER_CHANGE: _dicom("110113", "Security Alert", _ACCOUNT, "U"),
    EventType.USER_READ: _dicom("110100", "Application Activity", None, "R"),
    EventType.USER_INVITE: _dicom("110113", "Security Alert", _ACCOUNT, "C"),
    EventType.USER_SUSPEND: _dicom("110113", "Security Alert", _ACCOUNT, "U"),
    EventType.USER_REINSTATE: _dicom("110113", "Security Alert", _ACCOUNT, "U"),
    EventType.USER_LEAVE: _dicom("110113", "Security Alert", _ACCOUNT, "U"),
    EventType.USER_RESET: _dicom("110113", "Security Alert", _ACCOUNT, "U"),
    EventType.USER_APPROVE: _dicom("110113", "Security Alert", _ACCOUNT, "U"),
    EventType.CLIENT_READ: _dicom("110113", "Security Alert", _CONFIGURED, "R"),
    EventType.CLIENT_CREATE: _dicom("110113", "Security Alert", _CONFIGURED, "C"),
    EventType.CLIENT_CHANGE: _dicom("110113", "Security Alert", _CONFIGURED, "U"),
    EventType.CLIENT_REMOVE: _dicom("110113", "Security Alert", _CONFIGURED, "D"),
    EventType.CLIENT_LAUNCH: _dicom("110100", "Application Activity", None, "E"),
    EventType.PROVISION_READ: _dicom("110113", "Security Alert", ("110132", "Use of Restricted Function"), "R"),
    EventType.PROVISION_GROUP: _dicom("110113", "Security Alert", _ACCOUNT, "U"),
    EventType.PROVISION_MAP: _dicom("110113", "Security Alert", _CONFIGURED, "U"),
    EventType.FEDERATION_CHANGE: _dicom("110113", "Security Alert", _CONFIGURED, "U"),
    EventType.FEDERATION_LINK: _dicom("110113", "Security Alert", _ACCOUNT, "U"),
    EventType.TENANT_CREATE: _dicom("110113", "Security Alert", _CONFIGURED, "C"),
    EventType.TERMINOLOGY_LOAD: _dicom("110113", "Security Alert", _CONFIGURED, "C"),
    EventType.TERMINOLOGY_REMOVE: _dicom("110113", "Security Alert", _CONFIGURED, "D"),
    EventType.PACKAGE_INSTALL: _dicom("110113", "Security Alert", _CONFIGURED, "C"),
    EventType.PACKAGE_REMOVE: _dicom("110113", "Security Alert", _CONFIGURED, "D"),
    EventType.INDEX_REBUILD: _dicom("110113", "Security Alert", _CONFIGURED, "U"),
    EventType.AUDIT_READ: _dicom("110101", "Audit Log Used", None, "R"),
    EventType.AUDIT_VERIFY: _dicom("110101", "Audit Log Used", None, "E"),
    EventType.STORE_VERIFY: _dicom("110113", "Security Alert", _CONFIGURED, "E"),
    EventType.STORE_ACCEPT: _dicom("110113", "Security Alert", _CONFIGURED, "U"),
    EventType.AUDIT_GAP: _dicom("110113", "Security Alert", ("110133", "Audit Recording Stopped"), "E"),
    EventType.POLICY_LOAD: _dicom("110113", "Security Alert", _CONFIGURED, "U"),
    EventType.ERASURE_PLAN: _dicom("110110", "Patient Record", ("110112", "Query"), "E"),
    EventType.ERASURE_REQUEST: _dicom("110110", "Patient Record", _CONFIGURED, "C"),
    EventType.ERASURE_APPROVE: _dicom("110110", "Patient Record", _CONFIGURED, "U"),
    EventType.ERASURE_EXECUTE: _dicom("110110", "Patient Record", _CONFIGURED, "D"),
    EventType.ERASURE_COMPLETE: _dicom("110110", "Patient Record", _CONFIGURED, "D"),
    EventType.ERASURE_VERIFY: _dicom("110110", "Patient Record", ("110112", "Query"), "R"),
    EventType.KEYS_CREATE: _dicom("110113", "Security Alert", _CONFIGURED, "C"),
    EventType.KEYS_ROTATE: _dicom("110113", "Security Alert", _CONFIGURED, "C"),
    EventType.KEYS_REWRAP: _dicom("110113", "Security Alert", _CONFIGURED, "U"),
    EventType.KEYS_DESTROY: _dicom("110113", "Security Alert", _CONFIGURED, "D"),
    EventType.KEYS_UNLOCK: _dicom("110113", "Security Alert", ("110132", "Use of Restricted Function"), "E"),
    EventType.KEYS_REFUSED: _dicom("110113", "Security Alert", ("110132", "Use of Restricted Function"), "E"),
    EventType.BACKUP_CREATE: _dicom("110106", "Export", None, "R"),
    EventType.BACKUP_VERIFY: _dicom("110113", "Security Alert", ("110132", "Use of Restricted Function"), "E"),
    EventType.BACKUP_RESTORE: _dicom("110107", "Import", None, "C"),
    EventType.BACKUP_DRILL: _dicom("110113", "Security Alert", ("110132", "Use of Restricted Function"), "E"),
    EventType.SERVER_START: _dicom("110100", "Application Activity", ("110120", "Application Start"), "E"),
    EventType.SERVER_STOP: _dicom("110100", "Application Activity", ("110121", "Application Stop"), "E"),
    EventType.SERVER_CERTIFICATE: _dicom("110113", "Security Alert", ("110129", "Security Configuration"), "C"),
    EventType.PAGE_VIEW: _dicom("110100", "Application Activity", None, "R"),
}

# https://hl7.org/fhir/R4/valueset-audit-event-outcome.html
_OUTCOMES = {Outcome.GRANTED: "0", Outcome.REFUSED: "4", Outcome.FAILED: "8"}

_LIFECYCLES = {
    "C": ("1", "Origination / Creation"),
    "R": ("6", "Access / Use"),
    "U": ("3", "Amendment"),
    "D": ("14", "Logical deletion"),
}
_AGENTS = {
    "user": (_AGENT_TYPE, "humanuser", "human user"),
    "operator": (_AGENT_TYPE, "humanuser", "human user"),
    "service": (_DCM, "110150", "Application"),
}


def audit_event(index: int, entry: Entry, tenant: str) -> Json:
    """Write one entry as an AuditEvent.

    Args:
        index: place in the log, which is also the id of the resource.
        entry: the opened entry.
        tenant: whose log it is.

    Returns:
        A resource that is valid R4.
    """
    event = entry.event
    type_, subtype, action = _KINDS[event.type]
    own = (_OWN_EVENT, event.type.value, DESCRIPTIONS[event.type])
    resource: Json = {
        "resourceType": "AuditEvent",
        "id": str(index),
        "type": _coding(type_),
        "subtype": [_coding(code) for code in (subtype, own) if code],
        "action": action,
        "recorded": instant(event.at_ms),
        "outcome": _OUTCOMES[event.outcome],
        "agent": [_requestor(event), *_application(event), _server()],
        "source": {
            "site": tenant,
            "observer": {"display": "Salus"},
            "type": [_coding((_SOURCE_TYPE, "4", "Application Server"))],
        },
    }
    if event.reason:
        resource["outcomeDesc"] = event.reason
    if event.actor.purpose:
        resource["purposeOfEvent"] = [_purpose(event.actor.purpose)]
    entities = [_record(entity) for entity in event.entities]
    if event.query:
        entities.append(_query(event.query))
    entities += [_erased(owner) for owner in entry.unreadable]
    if event.request:
        entities.append(_request(event.request))
    if entities:
        resource["entity"] = entities
    return resource


def _requestor(event: Event) -> Json:
    actor = event.actor
    who: Json = {"identifier": {"system": _OWN_ACCOUNT, "value": actor.id or "anonymous"}}
    if actor.party:
        who["reference"] = actor.party
    agent: Json = {
        "type": {"coding": [_coding(_AGENTS.get(actor.kind, _AGENTS["user"]))]},
        "who": who,
        "requestor": True,
    }
    if actor.roles:
        agent["role"] = [{"text": role} for role in actor.roles]
    if actor.session:
        agent["altId"] = actor.session
    if event.address:
        agent["network"] = {"address": event.address, "type": "2"}
    if actor.purpose:
        agent["purposeOfUse"] = [_purpose(actor.purpose)]
    return agent


def _application(event: Event) -> list[Json]:
    """The application through which somebody acted."""
    if not event.actor.client:
        return []
    return [
        {
            "type": {"coding": [_coding((_DCM, "110150", "Application"))]},
            "who": {"identifier": {"system": _OWN_CLIENT, "value": event.actor.client}},
            "requestor": False,
        }
    ]


def _server() -> Json:
    return {
        "type": {"coding": [_coding((_DCM, "110152", "Destination Role ID"))]},
        "who": {"display": "Salus"},
        "requestor": False,
    }


def _record(entity: Entity) -> Json:
    reference = f"{entity.type}/{entity.id}"
    if entity.version:
        reference += f"/_history/{entity.version}"
    person = entity.type == "Patient"
    described: Json = {
        "type": _coding((_ENTITY_TYPE, "1", "Person") if person else (_ENTITY_TYPE, "2", "System Object")),
        "role": _coding((_ENTITY_ROLE, "1", "Patient") if person else (_ENTITY_ROLE, "4", "Domain Resource")),
        "lifecycle": _coding((_LIFECYCLE, *_LIFECYCLES[entity.action])),
    }
    if entity.id:
        described["what"] = {"reference": reference}
    else:
        described["name"] = entity.type
    return described


def _query(query: str) -> Json:
    return {
        "type": _coding((_ENTITY_TYPE, "2", "System Object")),
        "role": _coding((_ENTITY_ROLE, "24", "Query")),
        "query": b64encode(query.encode()).decode(),
    }


def _request(request: str) -> Json:
    return {
        "what": {"identifier": {"value": request}},
        "type": _coding((_BALP_ENTITY, "XrequestId", "X-Request-Id")),
    }


def _erased(owner: bytes) -> Json:
    return {
        "type": _coding((_ENTITY_TYPE, "1", "Person")),
        "role": _coding((_ENTITY_ROLE, "1", "Patient")),
        "name": f"patient {owner.hex()}",
        "description": "What the log says about this patient is unreadable: the audit key was destroyed.",
    }


def _purpose(code: str) -> Json:
    return {"coding": [{"system": _REASON, "code": code}]}


def _coding(code: _Coded) -> Json:
    return {"system": code[0], "code": code[1], "display": code[2]}
