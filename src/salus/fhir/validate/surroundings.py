# SPDX-License-Identifier: Apache-2.0
"""What a validation is given besides the resource: definitions, codes, and how strict to be."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from salus.fhir.validate.codes import Codes
from salus.fhir.validate.knowledge import Knowledge


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The means of one validator.

    Attributes:
        knowledge: definitions by url.
        codes: which codes there are.
        strict_extensions: whether an extension that nobody here has heard of is an error.
    """

    knowledge: Knowledge = field(default_factory=Knowledge)
    codes: Codes = field(default_factory=Codes)
    strict_extensions: bool = False

    @property
    def watched(self) -> Container[str]:
        """Urls of extensions whose use has to be looked at."""
        return _ALL if self.strict_extensions else self.knowledge.extensions


class _All(Container[str]):
    """Holds every text."""

    def __contains__(self, _: object) -> bool:
        return True


_ALL = _All()


PLAIN = Surroundings()
"""R4 itself, nothing installed."""
