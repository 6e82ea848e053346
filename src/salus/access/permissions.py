# SPDX-License-Identifier: Apache-2.0
"""The closed list of what can be permitted.

`record:*` permissions are granted per FHIR type by the grants of a role; the others are granted as a whole
by a role's `permissions` list. A new action needs a new line here, so a policy can never name something
that no code asks for.
"""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """Something an actor may be allowed to do, as `resource:action`."""

    RECORD_READ = "record:read"
    RECORD_VREAD = "record:vread"
    RECORD_HISTORY = "record:history"
    RECORD_SEARCH = "record:search"
    RECORD_CREATE = "record:create"
    RECORD_UPDATE = "record:update"
    RECORD_DELETE = "record:delete"
    RECORD_MATCH = "record:match"
    ERASURE_REQUEST = "erasure:request"
    ERASURE_APPROVE = "erasure:approve"
    ERASURE_EXECUTE = "erasure:execute"
    TERMINOLOGY_READ = "terminology:read"
    AUDIT_READ = "audit:read"
    AUDIT_VERIFY = "audit:verify"
    POLICY_READ = "policy:read"
    USER_READ = "user:read"
    USER_MANAGE = "user:manage"
    USER_PROVISION = "user:provision"
    TOKEN_ISSUE = "token:issue"  # noqa: S105  the name of a permission
    TOKEN_REVOKE = "token:revoke"  # noqa: S105
    TENANT_MANAGE = "tenant:manage"
    CLIENT_READ = "client:read"
    CLIENT_MANAGE = "client:manage"

    @property
    def action(self) -> str:
        """The part after the colon, e.g. `read`."""
        return self.value.partition(":")[2]


DOC: dict[Permission, str] = {
    Permission.RECORD_READ: "Read the current version of a record.",
    Permission.RECORD_VREAD: "Read one named version of a record.",
    Permission.RECORD_HISTORY: "List the versions of records.",
    Permission.RECORD_SEARCH: "Search records of a type.",
    Permission.RECORD_CREATE: "Create records of a type.",
    Permission.RECORD_UPDATE: "Change records of a type.",
    Permission.RECORD_DELETE: "Mark records of a type as deleted.",
    Permission.RECORD_MATCH: "Ask whether a described patient is known, and see the likely ones.",
    Permission.ERASURE_REQUEST: "Ask for the erasure of a patient.",
    Permission.ERASURE_APPROVE: "Approve the erasure of a patient that somebody else has asked for.",
    Permission.ERASURE_EXECUTE: "Look through all records for an erasure and carry out one that is approved.",
    Permission.TERMINOLOGY_READ: "Ask about codes: look them up, validate, expand and translate.",
    Permission.AUDIT_READ: "Read the audit log.",
    Permission.AUDIT_VERIFY: "Verify that the audit log is complete and unchanged.",
    Permission.POLICY_READ: "Read the access policy and ask why a request is allowed or refused.",
    Permission.USER_READ: "See user accounts, without their secrets.",
    Permission.USER_MANAGE: "Add, change, disable and unlock user accounts.",
    Permission.USER_PROVISION: "Keep accounts and groups of a directory through SCIM, and no others.",
    Permission.TOKEN_ISSUE: "Issue access tokens for an account.",
    Permission.TOKEN_REVOKE: "Revoke access tokens.",
    Permission.TENANT_MANAGE: "Add tenants.",
    Permission.CLIENT_READ: "See registered applications and services, without their secrets.",
    Permission.CLIENT_MANAGE: "Register, change, disable and remove applications and services.",
}

RECORD_ACTIONS: dict[str, Permission] = {p.action: p for p in Permission if p.value.startswith("record:")}
"""Record permissions by the action name that a policy uses."""

SYSTEM: frozenset[Permission] = frozenset(p for p in Permission if not p.value.startswith("record:"))
"""What a role's `permissions` list may name."""
