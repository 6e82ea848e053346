# SPDX-License-Identifier: Apache-2.0
"""Launches from within the record (SMART App Launch 2.2, EHR launch).

Whoever has a chart open starts an application with it: the browser is sent to the application's launch address with the
issuer and a handle, and the application hands it back at the authorization endpoint. The handle is 256 random bits,
counts once, lasts five minutes, and belongs to one application and to the person who started it. What it stands for
never leaves the server before that person has agreed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.fhir.definitions import resource_types
from salus.identity.accounts.store import Guard, Statement, add
from salus.identity.clients.addresses import LONGEST
from salus.identity.clients.client import Client
from salus.identity.clients.rules import is_plain
from salus.identity.clients.store import hashed, new_secret, seal, unseal
from salus.identity.smart.context import LaunchContext
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Issue, Kind, Problem

LIFETIME_MS = 5 * 60 * 1000
_PREFIX = "salus_la_"
_LONGEST_HANDLE = 100
_MOST_REFERENCES = 20
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_REFERENCE = re.compile(r"([A-Z][A-Za-z]{2,63})/[A-Za-z0-9.-]{1,64}", re.ASCII)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S")
_MEMBERS = {"reference", "canonical", "identifier", "type", "role"}


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    client: str
    expires: int
    context: LaunchContext


@dataclass(frozen=True, slots=True)
class Launched:
    """A launch that waits for the application.

    Attributes:
        handle: the parameter `launch`.
        address: where the browser goes now.
        expires_ms: milliseconds since the epoch.
    """

    handle: str
    address: str
    expires_ms: int


class Launches:
    """Starts launches and takes them up.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name; NOT_FOUND for an unknown one.
        clock: the time.
    """

    def __init__(self, db: Connection, keys_of: Callable[[str], TenantKeys], clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock

    def start(self, unit: Unit, client: Client, context: LaunchContext, issuer: str) -> Launched:
        """Start an application with what is open.

        Args:
            unit: takes the change; send the browser on only when it is durable.
            client: the application.
            context: who starts it, with what; the caller has made sure that they may see it.
            issuer: the FHIR base address, which the application is told as `iss`.

        Raises:
            Problem: INVALID for an application that cannot be launched, and for a context that is not fit.
        """
        if client.disabled or not client.launch_uri:
            raise Problem(Kind.INVALID, "This application cannot be launched from here.")
        check_context(context)
        keys = self._keys_of(client.tenant)
        handle = new_secret(_PREFIX)
        shown = hashed(keys, "launch", handle.encode())
        expires = self._clock.now_ms() + LIFETIME_MS
        sealed = seal(keys, "launch", shown, msgspec.msgpack.encode(_Sealed(client.id, expires, context)))
        add(
            unit,
            Statement(
                "insert into client_launch(tenant, hash, expires, sealed) values(?,?,?,?)",
                (client.tenant, shown, expires, sealed),
            ),
        )
        query = urlencode({"iss": issuer, "launch": handle})
        joint = "&" if "?" in client.launch_uri else "?"
        return Launched(handle, f"{client.launch_uri}{joint}{query}", expires)

    def take(self, unit: Unit, tenant: str, handle: str, client: str) -> LaunchContext:
        """Take a launch up: from now on its handle counts for nothing.

        Args:
            unit: takes the change.
            tenant: the tenant that the request addresses.
            handle: as received; anything.
            client: id of the application that shows it.

        Returns:
            What it stands for; the caller makes sure that `user` and `session` are those at the browser.

        Raises:
            Problem: INCORRECT, the same for a handle that is unknown, used, expired or another application's; the
                commit fails with it when another request was first.
        """
        keys = self._keys_of(tenant)
        shown = hashed(keys, "launch", handle[:_LONGEST_HANDLE].encode("utf-8", "replace"))
        now = self._clock.now_ms()
        row = self._db.execute(
            "select sealed from client_launch where tenant = ? and hash = ? and expires > ?", (tenant, shown, now)
        ).fetchone()
        if row is None:
            raise _unknown()
        kept = msgspec.msgpack.decode(unseal(keys, "launch", shown, row[0]), type=_Sealed)
        if kept.client != client or kept.expires <= now:
            raise _unknown()
        which = "where tenant = ? and hash = ?"
        guard = Guard(f"select 1 from client_launch {which}", (tenant, shown), _unknown())
        add(unit, Statement(f"delete from client_launch {which}", (tenant, shown), guard))
        return kept.context


def check_context(context: LaunchContext) -> None:
    """Whether a launch may carry this.

    Raises:
        Problem: INVALID with the parts that are not fit.
    """
    ids = {"patient": context.patient, "encounter": context.encounter}
    unfit = [name for name, value in ids.items() if value and _ID.fullmatch(value) is None]
    issues = [Issue("invalid", "This is no id of a record.", name) for name in unfit]
    if context.intent and not is_plain(context.intent, 200):
        issues.append(Issue("invalid", "An intent has up to 200 characters on one line.", "intent"))
    if context.fhir_context:
        try:
            found = msgspec.json.decode(context.fhir_context)
        except msgspec.DecodeError:
            found = None
        if not isinstance(found, list) or len(found) > _MOST_REFERENCES or not all(map(_is_context, found)):
            text = "fhirContext is a list of up to 20 objects with reference, canonical or identifier."
            issues.append(Issue("invalid", text, "fhirContext"))
    if issues:
        raise Problem(Kind.INVALID, "An application cannot be launched with this.", issues=tuple(issues))


def context_text(references: Sequence[Any]) -> str:
    """`fhirContext` as `LaunchContext` keeps it."""
    return msgspec.json.encode(references).decode() if references else ""


def _is_context(value: Any) -> bool:
    """An object of `fhirContext` (SMART App Launch 2.2); patient and encounter have a place of their own."""
    if (
        not isinstance(value, dict)
        or set(value) - _MEMBERS
        or not {"reference", "canonical", "identifier"} & set(value)
    ):
        return False
    texts = [value[name] for name in ("reference", "canonical", "type", "role") if name in value]
    if not all(isinstance(text, str) and is_plain(text, LONGEST) for text in texts):
        return False
    if "identifier" in value and not isinstance(value["identifier"], dict):
        return False
    role = value.get("role", "launch")
    if role != "launch" and not _ABSOLUTE.match(role):  # SMART defines no other role that is relative
        return False
    if "reference" not in value:
        return True
    found = _REFERENCE.fullmatch(value["reference"])
    own_place = found is not None and found[1] in {"Patient", "Encounter"} and role == "launch"
    return found is not None and found[1] in resource_types() and not own_place


def _unknown() -> Problem:
    return Problem(Kind.INCORRECT, "The launch is not known: it was used, is too old, or is another application's.")
