# SPDX-License-Identifier: Apache-2.0
"""Is this valid FHIR R4? `check` answers; the other modules hold the rules."""

from salus.fhir.validate.base import check

__all__ = ["check"]
