# SPDX-License-Identifier: Apache-2.0
"""What a name sounds like, for the parameter `phonetic`: an own, simple key for European names.

Each word of a name becomes a key. Case and accents do not count. Letters that sound alike are written alike (`ph`, `v`
and `w` as `f`, `sch`, `sh` and `ch` as `x`, `c`, `q` and `g` as `k`, `d` as `t`, `b` as `p`, `z` as `s`, `y` and `j` as
`i`, `h` not at all), then vowels after the first letter go, then one letter stays of each run. So Meyer, Maier and Mayr
are `mr`, Schmidt and Schmitt `xmt`, Catherine and Kathryn `ktrn`. Keys find too much rather than too little.

R4 leaves the algorithm to the server (https://hl7.org/fhir/R4/patient.html#search).
"""

from __future__ import annotations

import re
from typing import Any

from salus.fhir.search.folding import fold

_WORD = re.compile(r"[^\W\d_]+")
_ALIKE = (
    ("tsch", "x"), ("sch", "x"), ("sh", "x"), ("ch", "x"), ("cz", "x"), ("sz", "s"), ("ß", "s"), ("ph", "f"),
    ("gh", "k"), ("ck", "k"), ("kn", "n"), ("wr", "r"), ("th", "t"), ("dt", "t"), ("tz", "s"), ("ts", "s"), ("x", "x"),
)  # fmt: skip
_LETTERS = str.maketrans("cqgdbwvzyj", "kkktpffsii")
_VOWELS = frozenset("aeiou")


def sound(word: str) -> str:
    """Key of one folded word; "" when nothing is left of it."""
    for letters, one in _ALIKE:
        word = word.replace(letters, one)
    word = word.translate(_LETTERS)
    kept = []
    for at, letter in enumerate(word):
        if letter == "h" or not letter.isalpha():
            continue
        if letter in _VOWELS:
            if at == 0:
                kept.append("a")  # which vowel it begins with is heard differently
            continue
        if not kept or kept[-1] != letter:
            kept.append(letter)
    return "".join(kept) or ("a" if word else "")


def sounds(name: Any) -> frozenset[str]:
    """Keys of all words of a name: a HumanName (family, given and text), or a string."""
    if isinstance(name, str):
        texts = [name]
    else:
        texts = [text for text in (name.get("family"), name.get("text"), *name.get("given", ())) if text]
    found = {sound(word) for text in texts for word in _WORD.findall(fold(text))}
    return frozenset(found - {""})
