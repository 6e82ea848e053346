# SPDX-License-Identifier: Apache-2.0
"""What an application asks for, what it is given, and how that is told to the person who decides.

The grammar is `salus.fhir.smart.scopes`; how scopes are enforced is a matter of `salus.access`. Nothing here knows a
record or a request. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

from collections.abc import Iterable

from salus.fhir.smart.scopes import Scope, Word, normalise, parse, written_list
from salus.identity.smart.words import Description, describe, granular

__all__ = ["Description", "Scope", "Word", "describe", "granular", "narrow", "normalise", "parse", "written_list"]

Scopes = Iterable[Scope | Word]


def narrow(asked: Scopes, registered: Scopes, chosen: Scopes | None = None) -> tuple[Scope | Word, ...]:
    """What is granted: asked for, registered for the client, and chosen by the person; never more than each of them.

    Args:
        asked: by the client in this request; a scope asked for in the words of version 1 is granted in them.
        registered: what the client may have at most.
        chosen: what the person agreed to, perhaps narrower (`granular`); None where nobody is asked.

    Returns:
        The granted scopes in the order in which they were asked for; empty when nothing is left (`invalid_scope`).
    """
    granted = _both(asked, registered)
    return granted if chosen is None else _both(granted, chosen)


def patient_wanted(scopes: Scopes) -> bool:
    """Whether a patient must be in context: a `patient/` scope is granted, or the context itself is asked for."""
    return any(
        scope.context == "patient" if isinstance(scope, Scope) else scope.text == "launch/patient" for scope in scopes
    )


def _both(asked: Scopes, limit: Scopes) -> tuple[Scope | Word, ...]:
    allowed = list(limit)
    words = {scope.text for scope in allowed if isinstance(scope, Word)}
    granted: dict[Scope | Word, None] = {}
    for scope in asked:
        if isinstance(scope, Word):
            if scope.text in words:
                granted[scope] = None
            continue
        parts = [part for other in allowed if isinstance(other, Scope) and (part := scope.within(other)) is not None]
        granted.update(dict.fromkeys(_widest(parts)))
    return tuple(granted)


def _widest(parts: list[Scope]) -> list[Scope]:
    """The same without what another one of them covers."""
    distinct = list(dict.fromkeys(parts))
    return [part for part in distinct if not any(other is not part and other.covers(part) for other in distinct)]
