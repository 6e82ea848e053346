# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: A002  `type` is the word of the field
"""The blind index: search values turned into keyed tokens that say nothing without the key.

    token = first 64 bits of HMAC-SHA256(family key, term), as 16 hexadecimal digits
    family key = HMAC-SHA256(index key, "<type>.<family>")

A family is one leaf of one resource type (`Observation.component.code`). The same value under two families,
types or tenants gives unrelated tokens. A term starts with a letter for its kind, so terms of different kinds
never meet.

What shows without the key: how many records carry the same token and which tokens occur together. What a
token cannot say exactly (exact strings, units, milliseconds) the caller checks on the opened candidates; a
query never misses a true match. Ways to ask return tokens of which any may be present (OR); dates return an
AND of such lists.

Tokens of values that recur (codes and their displays, days, magnitudes) are kept in a bounded cache, those of
references and of the words of other free text under keyed hashes; those of names and identifiers are not.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Container, Iterable
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac

from salus.crypto import calendar_tree, magnitude_tree
from salus.crypto.wiping import Secret

_TOKEN_BYTES = 8
_PREFIXES = (2, 4, 8)
"""Lengths of the prefixes of a word that are indexed. A token for every length would show how long a name is and how
common each of its beginnings: enough to tell it from others."""
_MAX_WORDS = 64
_MANY_WORDS = b"w"
"""Carried by strings of more words than are indexed one by one, and asked for with every prefix."""
_MAX_TEXT_WORDS = 400
_SHORTEST_WORD = 2
_RANGE = b"R"
_FLOAT_ERROR = Decimal("1e-9")
_CACHED = 40_000
_IDENTIFYING = ("identifier", "telecom", "serial", "carrier")  # families whose values are as good as unique
_LONGEST_CODE = 32


def fold(text: str) -> str:
    """Bring a string into the form in which strings are compared: without case, marks and superfluous spaces.

    FHIR R4 string search: https://hl7.org/fhir/R4/search.html#string
    """
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(text.casefold().split())


class _Family:
    """One family's key and its cached tokens."""

    __slots__ = ("identifying", "known", "mac")

    def __init__(self, mac: hmac.HMAC, identifying: bool) -> None:
        self.mac = mac
        self.identifying = identifying
        self.known: dict[object, tuple[str, ...]] = {}

    def token(self, term: bytes) -> str:
        mac = self.mac.copy()
        mac.update(term)
        return mac.finalize()[:_TOKEN_BYTES].hex()


class BlindIndex:
    """Tokens of one tenant under one index key. May be shared between threads."""

    def __init__(self, key: Secret) -> None:
        """Start with a key of 32 bytes that is used for nothing else; it is not kept."""
        self._mac = hmac.HMAC(key, hashes.SHA256())
        self._types: dict[str, dict[str, _Family]] = {}
        self._room = _CACHED

    def tokens(self, type: str, rows: Iterable[tuple[Any, ...]], skip: Container[str]) -> set[str]:
        """All tokens of a record.

        Args:
            type: resource type.
            rows: index rows as `fhir.search` extracts them: (family, kind, *values) with the kinds token,
                reference, identifier, string, uri, date, number, quantity, range and sound.
            skip: families that are not to be indexed, usually because they have few values.

        Returns:
            Tokens of 16 hexadecimal digits, among them the one of `type_term`.

        Raises:
            ValueError: a row of another kind.
        """
        families = self._types.get(type)
        if families is None:
            families = self._types[type] = {}
        found = {self.type_term(type)}
        for row in rows:
            name = row[0]
            if name in skip:
                continue
            family = families.get(name) or self._family(type, name)
            kind = row[1]
            if kind == "token":
                found.update(family.known.get(row) or self._coded(family, row))
            elif kind == "reference":
                found.update(family.known.get(hash(row[2])) or self._referred(family, row[2]))
            elif kind == "date":
                found.update(family.known.get(row) or self._dated(family, row))
            elif kind in ("quantity", "number"):
                found.update(self._measured(family, row[2]))
                if kind == "quantity" and row[6] is not None:
                    found.update(self._based(family, row[6], row[7]))
            elif kind == "string":
                found.update(map(family.token, _string(row[2])))
            elif kind == "identifier":
                found.update(family.token(term) for term in _identifier(row[2], row[3]))
            elif kind == "uri":
                found.update(family.known.get(row) or self._keep(family, row, (family.token(_uri(row[2])),)))
            elif kind == "sound":
                found.update(family.token(_sound(key)) for key in row[2])
            elif kind == "range":
                found.add(family.token(_RANGE))
            else:
                raise ValueError("unknown kind of index row")
        return found

    def words(
        self,
        type: str,
        family: str,
        recurring: Iterable[str],
        others: Iterable[str],
        split: Callable[[str], Iterable[str]],
    ) -> set[str]:
        """Tokens of the words of a record's free text.

        Of more than 400 words only some are indexed one by one; the record then carries a token that every question
        for a word asks for too.

        Args:
            type: resource type.
            family: name of the family.
            recurring: texts that come in many records, such as displays of codes; kept in the cache.
            others: texts that may name somebody; of their words the cache keeps hashes only.
            split: gives the words of a text.
        """
        leaf = self._family(type, family)
        found: set[str] = set()
        for text in recurring:
            found.update(leaf.known.get(text) or self._keep(leaf, text, tuple(_in_words(leaf, split(text)))))
        for text in others:
            for word in split(text):
                # Python hashes text under a key of the process: the cache holds no word that may name somebody.
                known = leaf.known.get(hash(word))
                if known is None:
                    known = self._keep(leaf, hash(word), tuple(_in_words(leaf, (word,))))
                found.update(known)
        if len(found) > _MAX_TEXT_WORDS:
            found = set(sorted(found)[:_MAX_TEXT_WORDS])
            found.add(leaf.token(_MANY_WORDS))
        return found

    # ── questions ─────────────────────────────────────────────────────────────────────────────────────────

    def type_term(self, type: str) -> str:
        """The token that every record of a type carries."""
        family = self._family(type, "")
        return (family.known.get(type) or self._keep(family, type, (family.token(b"y"),)))[0]

    def token_terms(self, type: str, family: str, system: str | None, code: str) -> list[str]:
        """Tokens of a code.

        Args:
            type: resource type.
            family: name of the family.
            system: None for any; "" asks for codes without a system, which the caller has to check.
            code: the code.
        """
        term = _system_code(system, code) if system else _code(code)
        return [self._family(type, family).token(term)]

    def reference_terms(self, type: str, family: str, target: str) -> list[str]:
        """Tokens of a reference to `Type/id` or to a URL."""
        return [self._family(type, family).token(_reference(target))]

    def identifier_terms(self, type: str, family: str, system: str | None, value: str) -> list[str]:
        """Tokens of a logical reference by identifier; a system of None or "" asks for any."""
        return [self._family(type, family).token(_identifier(system or "", value)[-1])]

    def string_terms(self, type: str, family: str, text: str, *, whole: bool = False) -> list[str] | None:
        """Tokens of strings that start with a text, or have a word that does.

        Args:
            type: resource type.
            family: name of the family.
            text: as the user typed it.
            whole: only strings that equal the text but for case, marks and spaces (for `:exact`).

        Returns:
            None when the text is too short for the index.
        """
        folded = fold(text)
        leaf = self._family(type, family)
        if whole:
            return [leaf.token(_whole(folded))]
        # Whichever word of the string the text starts at, each of its words starts a word there: ask for the
        # longest.
        word = max(folded.split(" "), key=len)
        if len(word) < _PREFIXES[0]:
            return None
        length = max(each for each in _PREFIXES if each <= len(word))
        return [leaf.token(_prefix(word[:length])), leaf.token(_MANY_WORDS)]

    def uri_terms(self, type: str, family: str, text: str) -> list[str]:
        """Tokens of exactly this URI."""
        return [self._family(type, family).token(_uri(text))]

    def date_terms(
        self, type: str, family: str, prefix: str, low_ms: int, high_ms: int, *, intervals: bool = True
    ) -> list[list[str]] | None:
        """Tokens of dates by prefix, see `calendar_tree.clauses`: an AND of ORs; None when the index cannot help."""
        clauses = calendar_tree.clauses(prefix, low_ms, high_ms, intervals=intervals)
        if clauses is None:
            return None
        leaf = self._family(type, family)
        return [[leaf.token(term) for term in clause] for clause in clauses]

    def interval_term(self, type: str, family: str) -> str:
        """The token that every record with an interval (no mere point or single day) under this family carries."""
        return self._family(type, family).token(calendar_tree.INTERVAL)

    def number_terms(self, type: str, family: str, low: Decimal | None, high: Decimal | None) -> list[str]:
        """Tokens of numbers and quantities whose bare value lies in [low, high]; None means no limit."""
        leaf = self._family(type, family)
        return [leaf.token(term) for term in magnitude_tree.cover(low, high)]

    def base_terms(self, type: str, family: str, unit: str, low: Decimal | None, high: Decimal | None) -> list[str]:
        """Tokens of quantities that lie in [low, high] base units of UCUM.

        The index was filled with floats, so the limits reach a little further than they say.
        """
        leaf = self._family(type, family)
        wide = _widened(low, -1), _widened(high, 1)
        return [leaf.token(_in_base(unit, term)) for term in magnitude_tree.cover(*wide)]

    def range_term(self, type: str, family: str) -> str:
        """The token that every record with a Range under this family carries; it says nothing of its limits."""
        return self._family(type, family).token(_RANGE)

    def sound_terms(self, type: str, family: str, keys: Iterable[str]) -> list[str]:
        """Tokens of names that sound like each of the keys; a record has to carry them all."""
        leaf = self._family(type, family)
        return [leaf.token(_sound(key)) for key in keys]

    def word_terms(self, type: str, family: str, word: str) -> list[str] | None:
        """Tokens of texts that hold a word; None when words like this are not indexed."""
        if not _is_indexed(word):
            return None
        leaf = self._family(type, family)
        return [leaf.token(_word(word)), leaf.token(_MANY_WORDS)]

    # ── tokens of one row ─────────────────────────────────────────────────────────────────────────────────

    def _coded(self, family: _Family, row: tuple[Any, ...]) -> tuple[str, ...]:
        system, code = row[2], row[3]
        tokens: tuple[str, ...] = (family.token(_code(code)),)
        if system:
            tokens += (family.token(_system_code(system, code)),)
        if family.identifying or len(code) > _LONGEST_CODE:
            return tokens
        return self._keep(family, row, tokens)

    def _referred(self, family: _Family, target: str) -> tuple[str, ...]:
        # Records of one moment are about the same patient and encounter. For the key see `words`.
        return self._keep(family, hash(target), (family.token(_reference(target)),))

    def _dated(self, family: _Family, row: tuple[Any, ...]) -> tuple[str, ...]:
        points, terms = calendar_tree.points(row[2], row[3])
        tokens = [family.token(term) for term in terms]
        for side, minute, whole_days in points:
            tokens += self._day(family, side, minute // calendar_tree.DAY_MINUTES)
            if not whole_days:
                hour = (side, "hour", minute // 60)
                tokens += family.known.get(hour) or self._make(family, hour, calendar_tree.hour_terms(side, hour[2]))
                tokens += map(family.token, calendar_tree.minute_terms(side, minute))
        return self._keep(family, row, tuple(tokens))

    def _day(self, family: _Family, side: str, day: int) -> tuple[str, ...]:
        """Tokens of the levels from 64 years to the day. The upper ones are shared by many days."""
        known = family.known.get((day, side))
        if known is not None:
            return known
        month = calendar_tree.month_day(day)[0]
        above = (side, "month", month)
        months = family.known.get(above)
        if months is None:
            years = (side, "year", month // 12)
            months = family.known.get(years) or self._make(family, years, calendar_tree.year_terms(side, month // 12))
            months += tuple(map(family.token, calendar_tree.month_terms(side, month)))
            self._keep(family, above, months)
        return self._keep(family, (day, side), months + tuple(map(family.token, calendar_tree.day_terms(side, day))))

    def _measured(self, family: _Family, value: Decimal) -> tuple[str, ...]:
        leaf = magnitude_tree.leaf(value)
        return family.known.get(leaf) or self._in_tree(family, leaf, "")

    def _based(self, family: _Family, value: float, unit: str) -> tuple[str, ...]:
        leaf = magnitude_tree.leaf(value)
        return family.known.get((unit, leaf)) or self._in_tree(family, leaf, unit)

    def _in_tree(self, family: _Family, leaf: int, unit: str) -> tuple[str, ...]:
        """Tokens of a magnitude, of a number of base units when there is a unit. The upper ones are shared by many."""

        def made(terms: list[bytes]) -> tuple[str, ...]:
            return tuple(map(family.token, [_in_base(unit, term) for term in terms] if unit else terms))

        node = magnitude_tree.upper(leaf)
        above = family.known.get((unit, "upper", node))
        if above is None:
            above = self._keep(family, (unit, "upper", node), made(magnitude_tree.upper_terms(node)))
        return self._keep(family, (unit, leaf) if unit else leaf, made(magnitude_tree.terms(leaf)) + above)

    # ── families and cache ────────────────────────────────────────────────────────────────────────────────

    def _family(self, type: str, name: str) -> _Family:
        families = self._types.setdefault(type, {})
        family = families.get(name)
        if family is None:
            mac = self._mac.copy()
            mac.update(f"{type}.{name}".encode())
            identifying = any(word in name for word in _IDENTIFYING)
            family = families[name] = _Family(hmac.HMAC(mac.finalize(), hashes.SHA256()), identifying)
        return family

    def _make(self, family: _Family, key: object, terms: list[bytes]) -> tuple[str, ...]:
        return self._keep(family, key, tuple(map(family.token, terms)))

    def _keep(self, family: _Family, key: object, tokens: tuple[str, ...]) -> tuple[str, ...]:
        self._room -= 1
        if self._room <= 0:
            for families in list(self._types.values()):
                for each in list(families.values()):
                    each.known.clear()
            self._room = _CACHED
        family.known[key] = tokens
        return tokens


def _code(code: str) -> bytes:
    return b"c" + code.encode()


def _system_code(system: str, code: str) -> bytes:
    return f"C{len(system)}:{system}{code}".encode()


def _reference(target: str) -> bytes:
    return b"r" + target.encode()


def _identifier(system: str, value: str) -> tuple[bytes, ...]:
    bare = b"i" + value.encode()
    return (bare, f"I{len(system)}:{system}{value}".encode()) if system else (bare,)


def _string(text: str) -> set[bytes]:
    folded = fold(text)
    terms = {_whole(folded)}
    words = dict.fromkeys(folded.split(" "))
    if len(words) > _MAX_WORDS:
        terms.add(_MANY_WORDS)
        words = dict.fromkeys(list(words)[:_MAX_WORDS])
    for word in words:
        terms.update(_prefix(word[:length]) for length in _PREFIXES if length <= len(word))
    return terms


def _word(word: str) -> bytes:
    return b"t" + word.encode()


def _is_indexed(word: str) -> bool:
    return len(word) >= _SHORTEST_WORD and not word.isdigit()


def _in_words(family: _Family, words: Iterable[str]) -> Iterable[str]:
    return (family.token(_word(word)) for word in words if _is_indexed(word))


def _sound(key: str) -> bytes:
    return b"x" + key.encode()


def _in_base(unit: str, term: bytes) -> bytes:
    return f"q{len(unit)}:{unit}".encode() + term


def _widened(limit: Decimal | None, direction: int) -> Decimal | None:
    return None if limit is None else limit + direction * abs(limit) * _FLOAT_ERROR


def _whole(folded: str) -> bytes:
    return b"s" + folded.encode()


def _prefix(folded: str) -> bytes:
    return b"p" + folded.encode()


def _uri(text: str) -> bytes:
    return b"u" + text.encode()
