# SPDX-License-Identifier: Apache-2.0
"""Scopes of a session, which can only narrow what its roles give.

The form is that of SMART App Launch 2.x, `user/Observation.rs`
(https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html): context `user`, `patient` or
`system`, a type or `*`, and letters of `cruds` in this order. A session that carries anything else, such as
a query or the older `.read`, is given nothing: what is not understood must not widen access.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

from salus.access.permissions import Permission
from salus.kernel.actor import Actor

_FORM = re.compile(r"(user|patient|system)/(\*|[A-Z][A-Za-z]*)\.(?=.)(c?r?u?d?s?)", re.ASCII)

# The history of a type lists records like a search does, that of one record reads it: one permission covers
# both, so it takes both letters.
_LETTERS: dict[Permission, str] = {
    Permission.RECORD_CREATE: "c",
    Permission.RECORD_READ: "r",
    Permission.RECORD_VREAD: "r",
    Permission.RECORD_HISTORY: "rs",
    Permission.RECORD_UPDATE: "u",
    Permission.RECORD_DELETE: "d",
    Permission.RECORD_SEARCH: "s",
    Permission.RECORD_MATCH: "rs",
}


class Reach(Enum):
    """How far the scopes of a session let its grants go."""

    NONE = 0
    OWN = 1
    ALL = 2


def reach(actor: Actor, permission: Permission, type_: str) -> Reach:
    """How far scopes let this request go.

    Args:
        actor: who asks; without scopes nothing is narrowed.
        permission: a record permission.
        type_: FHIR type.

    Returns:
        ALL when roles alone decide, OWN when only records of the actor as a patient remain, else NONE.
    """
    if not actor.scopes:
        return Reach.ALL
    given: dict[str, frozenset[str]] = {}
    for text in actor.scopes:
        scope = _parse(text)
        if scope is None:
            return Reach.NONE
        context, named, letters = scope
        # `system` speaks for software alone, `user` and `patient` for a person.
        if (context == "system") == (actor.kind == "service") and named in {"*", type_}:
            given[context] = given.get(context, frozenset()) | letters
    needed = _LETTERS[permission]
    reaching = {context for context, letters in given.items() if letters.issuperset(needed)}
    if reaching - {"patient"}:
        return Reach.ALL
    return Reach.OWN if reaching else Reach.NONE


@lru_cache(maxsize=1024)
def _parse(text: str) -> tuple[str, str, frozenset[str]] | None:
    found = _FORM.fullmatch(text)
    return (found[1], found[2], frozenset(found[3])) if found else None
