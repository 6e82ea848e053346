# SPDX-License-Identifier: Apache-2.0
"""The context that an application is launched in: which patient, which encounter, for what.

SMART App Launch 2.2, "Scopes for requesting context data": what is in here comes back beside the access token.
"""

from __future__ import annotations

from typing import Any

import msgspec


class LaunchContext(msgspec.Struct, frozen=True, array_like=True):
    """What was open in the record when the application was launched.

    Attributes:
        user: login name of whoever launched it; only they may go on.
        session: id of their session at the browser.
        patient: id of the patient; empty if none.
        encounter: id of the encounter; empty if none.
        fhir_context: JSON array of further references, as `fhirContext` is given to the application; empty if none.
        intent: what the application should do; empty if nothing was said.
        need_patient_banner: whether the application has to show who the patient is.
    """

    user: str
    session: str = ""
    patient: str = ""
    encounter: str = ""
    fhir_context: str = ""
    intent: str = ""
    need_patient_banner: bool = True

    def parameters(self) -> dict[str, Any]:
        """As members of the token response."""
        told: dict[str, Any] = {"need_patient_banner": self.need_patient_banner}
        if self.fhir_context:
            told["fhirContext"] = msgspec.json.decode(self.fhir_context)
        if self.intent:
            told["intent"] = self.intent
        return told
