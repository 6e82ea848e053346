# SPDX-License-Identifier: Apache-2.0
"""What can be audited: the closed list of events, and what one event says.

An event names who acted (`Actor`), what was done, how it ended and which records were concerned. It never
holds the content of a record, a password or a token. `reason` is text of the policy or of the program and
names no patient.

Pure values: sealing is in `entry`, keeping in `log`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from salus.kernel.actor import Actor

Action = Literal["C", "R", "U", "D"]


class EventType(StrEnum):
    """The closed list of audited events; `DESCRIPTIONS` says in one line what each means."""

    RECORD_READ = "record.read"
    RECORD_VREAD = "record.vread"
    RECORD_HISTORY = "record.history"
    RECORD_SEARCH = "record.search"
    RECORD_CREATE = "record.create"
    RECORD_UPDATE = "record.update"
    RECORD_DELETE = "record.delete"
    RECORD_TRANSACTION = "record.transaction"
    RECORD_BATCH = "record.batch"
    RECORD_IMPORT = "record.import"
    RECORD_OPERATION = "record.operation"
    REQUEST_FAILED = "request.failed"
    AUTH_SIGNIN = "auth.signin"
    AUTH_SIGNOUT = "auth.signout"
    AUTH_REFUSED = "auth.refused"
    TOKEN_ISSUE = "auth.token.issue"  # noqa: S105  the name of an event, not a secret
    TOKEN_REVOKE = "auth.token.revoke"  # noqa: S105
    AUTH_STEP_UP = "auth.step-up"
    AUTH_RECOVERY = "auth.recovery"
    FACTOR_BIND = "auth.factor.bind"
    FACTOR_UNBIND = "auth.factor.unbind"
    SESSION_END = "auth.session.end"
    TOKEN_LEAKED = "auth.token.leaked"  # noqa: S105
    OAUTH_REQUEST = "oauth.request"
    OAUTH_CODE = "oauth.code"
    OAUTH_REFRESH = "oauth.refresh"
    OAUTH_REUSE = "oauth.reuse"
    OAUTH_REFUSED = "oauth.refused"
    OAUTH_REVOKE = "oauth.revoke"
    OAUTH_INTROSPECT = "oauth.introspect"
    OAUTH_USERINFO = "oauth.userinfo"
    OAUTH_KEY = "oauth.key"
    USER_CREATE = "user.create"
    USER_CHANGE = "user.change"
    USER_READ = "user.read"
    USER_INVITE = "user.invite"
    USER_SUSPEND = "user.suspend"
    USER_REINSTATE = "user.reinstate"
    USER_LEAVE = "user.leave"
    USER_RESET = "user.reset"
    USER_APPROVE = "user.approve"
    PROVISION_READ = "provision.read"
    PROVISION_GROUP = "provision.group"
    PROVISION_MAP = "provision.map"
    FEDERATION_CHANGE = "federation.change"
    FEDERATION_LINK = "federation.link"
    TENANT_CREATE = "tenant.create"
    TERMINOLOGY_LOAD = "terminology.load"
    TERMINOLOGY_REMOVE = "terminology.remove"
    PACKAGE_INSTALL = "package.install"
    PACKAGE_REMOVE = "package.remove"
    INDEX_REBUILD = "index.rebuild"
    ERASURE_PLAN = "erasure.plan"
    ERASURE_REQUEST = "erasure.request"
    ERASURE_APPROVE = "erasure.approve"
    ERASURE_EXECUTE = "erasure.execute"
    ERASURE_COMPLETE = "erasure.complete"
    ERASURE_VERIFY = "erasure.verify"
    CLIENT_READ = "client.read"
    CLIENT_CREATE = "client.create"
    CLIENT_CHANGE = "client.change"
    CLIENT_REMOVE = "client.remove"
    CLIENT_LAUNCH = "client.launch"
    AUDIT_READ = "audit.read"
    AUDIT_VERIFY = "audit.verify"
    AUDIT_GAP = "audit.gap"
    STORE_VERIFY = "store.verify"
    STORE_ACCEPT = "store.accept"
    POLICY_LOAD = "policy.load"
    KEYS_CREATE = "keys.create"
    KEYS_ROTATE = "keys.rotate"
    KEYS_REWRAP = "keys.rewrap"
    KEYS_DESTROY = "keys.destroy"
    KEYS_UNLOCK = "keys.unlock"
    KEYS_REFUSED = "keys.refused"
    BACKUP_CREATE = "backup.create"
    BACKUP_VERIFY = "backup.verify"
    BACKUP_RESTORE = "backup.restore"
    BACKUP_DRILL = "backup.drill"
    SERVER_START = "server.start"
    SERVER_STOP = "server.stop"
    SERVER_CERTIFICATE = "server.certificate"
    PAGE_VIEW = "page.view"


DESCRIPTIONS: dict[EventType, str] = {
    EventType.RECORD_READ: "The current version of a record was read.",
    EventType.RECORD_VREAD: "One named version of a record was read.",
    EventType.RECORD_HISTORY: "The versions of a record, of a type or of the whole store were listed.",
    EventType.RECORD_SEARCH: "Records were searched for; the entry names those that were returned.",
    EventType.RECORD_CREATE: "A record was created.",
    EventType.RECORD_UPDATE: "A new version of a record was written (update or patch).",
    EventType.RECORD_DELETE: "A record was deleted; its history stays.",
    EventType.RECORD_TRANSACTION: "A transaction bundle was carried out as one.",
    EventType.RECORD_BATCH: "An entry of a batch bundle ended before what it asked for could begin.",
    EventType.RECORD_IMPORT: "Records were imported from a file on the server.",
    EventType.RECORD_OPERATION: "An operation was called; the entry names it and the records that were given.",
    EventType.REQUEST_FAILED: "A request with a valid token ended before what it asked for could begin.",
    EventType.AUTH_SIGNIN: "Someone proved who they are.",
    EventType.AUTH_SIGNOUT: "Someone ended their session.",
    EventType.AUTH_REFUSED: "A sign-in or a token was refused.",
    EventType.TOKEN_ISSUE: "An access token was issued.",
    EventType.TOKEN_REVOKE: "An access token was revoked.",
    EventType.AUTH_STEP_UP: "Someone in a session showed their factors again.",
    EventType.AUTH_RECOVERY: "A recovery code, or a code of an administrator, was used in place of a factor.",
    EventType.FACTOR_BIND: "A way to sign in was bound to an account.",
    EventType.FACTOR_UNBIND: "A way to sign in was taken away from an account.",
    EventType.SESSION_END: "A session was ended from elsewhere: by its person on another device, or an administrator.",
    EventType.TOKEN_LEAKED: "A token was sent where others can read it, and has ended.",
    EventType.OAUTH_REQUEST: "An application asked for access; a person has to answer.",
    EventType.OAUTH_CODE: "A person allowed an application what the entry says, and it was sent a code.",
    EventType.OAUTH_REFRESH: "An application exchanged a refresh token for a new access token.",
    EventType.OAUTH_REUSE: "A code or refresh token was used a second time; what it gave has ended.",
    EventType.OAUTH_REFUSED: "An application was refused, by the server or by the person.",
    EventType.OAUTH_REVOKE: "What an application was allowed has ended, or a token of it.",
    EventType.OAUTH_INTROSPECT: "An application asked what a token is worth.",
    EventType.OAUTH_USERINFO: "An application asked who the person behind its token is.",
    EventType.OAUTH_KEY: "A key that signs id_tokens was made, put to use, retired or removed.",
    EventType.USER_CREATE: "An account was made.",
    EventType.USER_CHANGE: "An account, its roles or its credentials were changed.",
    EventType.USER_READ: "Accounts, their sessions or what waits for approval were looked at.",
    EventType.USER_INVITE: "A person was invited: a code was made with which they enrol themselves.",
    EventType.USER_SUSPEND: "An account was suspended; everything of its person has ended.",
    EventType.USER_REINSTATE: "A suspended account was opened again, or somebody who had left was invited again.",
    EventType.USER_LEAVE: "A person left: everything of theirs has ended, and their factors were taken away.",
    EventType.USER_RESET: "A reset of somebody's ways to sign in was asked for, or begun with a code.",
    EventType.USER_APPROVE: "What one administrator asked for was approved, or refused, by another.",
    EventType.PROVISION_READ: "A directory read provisioned people or groups; the entry has what it asked for.",
    EventType.PROVISION_GROUP: "A directory made, changed or deleted a group; its members may have other roles now.",
    EventType.PROVISION_MAP: "It was said which role a group of a directory stands for, or no longer does.",
    EventType.FEDERATION_CHANGE: "An identity provider was registered, changed or removed.",
    EventType.FEDERATION_LINK: "An account was linked to somebody at an identity provider, or no longer is.",
    EventType.TENANT_CREATE: "A tenant was made, with keys and an audit log of its own.",
    EventType.TERMINOLOGY_LOAD: "A code system was loaded from files on the server.",
    EventType.TERMINOLOGY_REMOVE: "A loaded code system was removed.",
    EventType.PACKAGE_INSTALL: "A FHIR package was installed.",
    EventType.PACKAGE_REMOVE: "A FHIR package was removed.",
    EventType.INDEX_REBUILD: "Records were indexed anew; the entry says for what and how many.",
    EventType.ERASURE_PLAN: "All records were looked through for what an erasure would take away.",
    EventType.ERASURE_REQUEST: "The erasure of a patient was asked for.",
    EventType.ERASURE_APPROVE: "The erasure of a patient was approved by a second person.",
    EventType.ERASURE_EXECUTE: "The records of a patient were taken away; what follows destroys the key.",
    EventType.ERASURE_COMPLETE: "The key of an erased patient was destroyed, and the receipt signed.",
    EventType.ERASURE_VERIFY: "The receipt of an erasure was checked.",
    EventType.CLIENT_READ: "Registrations of applications and services were looked at.",
    EventType.CLIENT_CREATE: "An application or service was registered.",
    EventType.CLIENT_CHANGE: "The registration of an application or service, its secrets or its keys were changed.",
    EventType.CLIENT_REMOVE: "An application or service was removed; what it held has ended.",
    EventType.CLIENT_LAUNCH: "An application was started from within the record, for the patient that was open.",
    EventType.AUDIT_READ: "The audit log was read.",
    EventType.AUDIT_VERIFY: "The audit log was checked against its proofs.",
    EventType.AUDIT_GAP: "After a crash a journal of the log was found altered or missing: entries may be lost.",
    EventType.STORE_VERIFY: "The rows and the index of the database were compared with their manifest.",
    EventType.STORE_ACCEPT: "The rows of the database were taken as they are, with a new manifest; the entry says why.",
    EventType.POLICY_LOAD: "The access policy was loaded or changed.",
    EventType.KEYS_CREATE: "A key was made by hand, outside normal service.",
    EventType.KEYS_ROTATE: "The rotation of a key was begun; the entry says of which.",
    EventType.KEYS_REWRAP: "Keys were wrapped anew; the entry says which and how many.",
    EventType.KEYS_DESTROY: "A former key, or former versions of the provider's key, were destroyed.",
    EventType.KEYS_UNLOCK: "The keys of a tenant were unwrapped by the key provider.",
    EventType.KEYS_REFUSED: "The key provider did not give out a key.",
    EventType.BACKUP_CREATE: "A backup was written; the entry names its number and digest.",
    EventType.BACKUP_VERIFY: "Backups were checked against their signatures.",
    EventType.BACKUP_RESTORE: "The installation was restored from a backup; the log goes on from there.",
    EventType.BACKUP_DRILL: "A backup was restored into a scratch folder, looked into and thrown away.",
    EventType.SERVER_START: "The server began to answer.",
    EventType.SERVER_STOP: "The server stopped answering.",
    EventType.SERVER_CERTIFICATE: "A certificate of the server was issued; the entry has its fingerprint.",
    EventType.PAGE_VIEW: "Somebody who is signed in opened a page about themselves; the entry names it.",
}


class Outcome(StrEnum):
    """How it ended."""

    GRANTED = "granted"
    REFUSED = "refused"
    FAILED = "failed"


class Entity(msgspec.Struct, frozen=True, gc=False):
    """One record that was concerned.

    Attributes:
        owner: 16-byte surrogate of the patient in whose compartment the record is; `b""` when there is none.
            A record of two patients is named twice, once for each.
        type: FHIR resource type.
        id: logical id of the record.
        version: version number; 0 when no version is meant.
        action: what was done with it: C created, R read, U updated, D deleted.
    """

    owner: bytes
    type: str
    id: str
    version: int
    action: Action


class Event(msgspec.Struct, frozen=True):
    """One line of the audit log.

    Attributes:
        type: what was done.
        outcome: how it ended.
        actor: who did it; `actor.tenant` names the log that keeps the event.
        at_ms: when, in milliseconds since 1970-01-01T00:00:00Z.
        request: identifier of the request, so that the entry and the server's log can be laid side by side.
        address: network address of the client; empty for the command line.
        reason: ids of the policy grants, or why it was refused; never patient data.
        query: the search as it was sent, without the base URL; may name patients and is sealed accordingly.
        entities: the records concerned.
    """

    type: EventType
    outcome: Outcome
    actor: Actor
    at_ms: int
    request: str
    address: str = ""
    reason: str = ""
    query: str = ""
    entities: tuple[Entity, ...] = ()
