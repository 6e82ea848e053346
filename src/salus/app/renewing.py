# SPDX-License-Identifier: Apache-2.0
"""Certificates of the local authority are short-lived: the server renews them by itself before they end.

Only what the local authority signed is ever replaced, and only where its key lies in the data folder. A certificate of
somebody else is renewed by whoever issued it. `listening` sees the new files and puts them to use.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from salus.app.background import Background
from salus.app.certificates import can_issue, days_left, fingerprint, is_foreign, is_local, issue, soon
from salus.app.found import TLS_FOLDER, hosts_of
from salus.app.house import House
from salus.audit.event import EventType
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Settings

_LOOK_SECONDS = 600.0


def renew(settings: Settings) -> str:
    """Issue a new certificate in place of one of the local authority.

    Returns:
        What to write to the audit log.

    Raises:
        Problem: CONFLICT when the certificate is of somebody else; UNAVAILABLE without the authority's key.
    """
    server, folder = settings.server, settings.folder / TLS_FOLDER
    certificate, key = settings.path(server.tls_certificate), settings.path(server.tls_key)
    if is_foreign(folder, certificate):
        raise Problem(
            Kind.CONFLICT,
            "The certificate was not issued by the local authority; whoever issued it renews it. To go back to the "
            "local authority, move its files away first.",
        )
    issue(folder, certificate, key, hosts_of(server.host, settings.base_url), server.tls_days)
    return f"certificate SHA-256 {fingerprint(certificate)}, {days_left(certificate)} days"


def renew_if_due(settings: Settings) -> str:
    """Renew when the time has come and it is ours to do; "" when there was nothing to do. Errors as `renew`."""
    certificate, folder = settings.path(settings.server.tls_certificate), settings.folder / TLS_FOLDER
    if not _due(settings):
        return ""
    with _alone(folder.as_posix()):
        # Another process may have been first.
        return renew(settings) if is_local(folder, certificate) and soon(certificate) else ""


def _due(settings: Settings) -> bool:
    certificate, folder = settings.path(settings.server.tls_certificate), settings.folder / TLS_FOLDER
    return is_local(folder, certificate) and soon(certificate) and can_issue(folder)


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """One process at a time, by a lock on the folder itself."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def renewing(house: House) -> Background:
    """The task of one worker process: looks every ten minutes."""
    return Background("renewing the certificate", partial(renew_and_note, house), pause=_LOOK_SECONDS)


async def renew_and_note(house: House) -> None:
    """Renew if it is due, and write it down. Errors as `renew`; OSError where files cannot be written."""
    reason = await asyncio.to_thread(renew_if_due, house.settings)
    if reason:
        await house.record(Unit(), house.operator(), EventType.SERVER_CERTIFICATE, reason)
