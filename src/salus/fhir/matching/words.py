# SPDX-License-Identifier: Apache-2.0
"""How alike two words of a name are: by their letters, and by their sound.

Jaro-Winkler similarity after Winkler (1990), "String comparator metrics and enhanced decision rules in the
Fellegi-Sunter model of record linkage". The sound is a Soundex of our own: consonants by where they are spoken, vowels
left out, common spellings of one sound made one, and no special place for the first letter.
"""

from __future__ import annotations

from functools import lru_cache

from salus.fhir.search.folding import fold

_SPELLINGS = (
    ("ph", "f"), ("gh", "g"), ("ck", "k"), ("sch", "s"), ("sh", "s"), ("ch", "k"), ("th", "t"), ("wr", "r"),
    ("kn", "n"), ("x", "ks"), ("qu", "k"), ("tz", "ts"), ("dt", "t"), ("mc", "mk"), ("j", "y"), ("h", ""),
)  # fmt: skip
_SOUNDS = {
    letter: code
    for code, letters in {"1": "bpfvw", "2": "cgkqsz", "3": "dt", "4": "l", "5": "mn", "6": "r"}.items()
    for letter in letters
}
_LONGEST = 200  # letters that are compared: it takes the square of them
_LONGEST_PREFIX = 4
_PREFIX_WEIGHT = 0.1


def letters(text: str) -> str:
    """A name without case, marks, spaces, hyphens and apostrophes."""
    return "".join(c for c in fold(text) if c.isalnum())


def sound(text: str) -> str:
    """How a word is spoken; empty for one without consonants, which sounds like nothing else."""
    return _sound(text[:_LONGEST])


@lru_cache(maxsize=4096)
def _sound(text: str) -> str:
    word = letters(text)
    for spelling, said in _SPELLINGS:
        word = word.replace(spelling, said)
    codes = [_SOUNDS.get(letter, "") for letter in word]
    return "".join(code for at, code in enumerate(codes) if code and (at == 0 or code != codes[at - 1]))


def similarity(one: str, other: str) -> float:
    """Jaro-Winkler similarity of two words, 0 to 1; both as `letters` gives them."""
    if one == other:
        return 1.0
    if not one or not other:
        return 0.0
    one, other = one[:_LONGEST], other[:_LONGEST]
    window = max(max(len(one), len(other)) // 2 - 1, 0)
    taken = [False] * len(other)
    matched: list[str] = []
    for at, letter in enumerate(one):
        for there in range(max(0, at - window), min(len(other), at + window + 1)):
            if not taken[there] and other[there] == letter:
                taken[there] = True
                matched.append(letter)
                break
    if not matched:
        return 0.0
    others = [letter for letter, found in zip(other, taken, strict=True) if found]
    swapped = sum(a != b for a, b in zip(matched, others, strict=True)) / 2
    number = len(matched)
    jaro = (number / len(one) + number / len(other) + (number - swapped) / number) / 3
    same = 0
    for a, b in zip(one[:_LONGEST_PREFIX], other, strict=False):
        if a != b:
            break
        same += 1
    return jaro + same * _PREFIX_WEIGHT * (1 - jaro)
