# SPDX-License-Identifier: Apache-2.0
"""How strings are made alike before they are compared: case, accents and runs of spaces do not count.

https://hl7.org/fhir/R4/search.html#string. The blind index folds the same way.
"""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """NFKD without combining marks, case folded, with single spaces between words and none around them."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()
    else:
        text = text.lower()
    return " ".join(text.split())
