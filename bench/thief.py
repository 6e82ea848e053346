# SPDX-License-Identifier: Apache-2.0
"""The attack on the blind index: what is stolen is laid beside the same index over people whom the thief knows.

The thief knows how Salus works and has people of his own (public statistics), whose records he indexes himself. A
stolen token is matched with a known one that is as frequent (`by_frequency`), then with the one that also occurs as
often beside the tokens that all others were matched with (`by_company`, a count attack after Cash et al.,
"Leakage-Abuse Attacks Against Searchable Encryption", CCS 2015). What he believes of a row is what most of his own rows
with a matched token are. Pure: sets of tokens in, guesses out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import asin, sqrt
from typing import NamedTuple

Row = frozenset[str]

_FEWEST = 3
"""Rows that a token must be in to be looked at: of rarer ones their frequency says nothing."""
_MOST = 400
_NEAR = 60
_ANCHORS = 40
_ROUNDS = 4


class Group(NamedTuple):
    """Tokens that are always together.

    Attributes:
        tokens: how many.
        rows: one bit for each row that has them.
        share: of all rows.
    """

    tokens: int
    rows: int
    share: float


Matching = Mapping[Group, Group]


def groups(rows: Sequence[Row]) -> list[Group]:
    """The tokens of some rows, commonest first."""
    where: dict[str, int] = defaultdict(int)
    for number, row in enumerate(rows):
        for token in row:
            where[token] |= 1 << number
    together = Counter(where.values())
    found = [Group(count, bits, bits.bit_count() / len(rows)) for bits, count in together.items()]
    found = [group for group in found if group.rows.bit_count() >= _FEWEST]
    return sorted(found, key=lambda group: (-group.share, -group.tokens, group.rows))[:_MOST]


def by_frequency(stolen: Sequence[Group], known: Sequence[Group]) -> Matching:
    """Each stolen group with the known one that is most alike in frequency and number of tokens."""
    return {group: min(known, key=lambda other: _unlike(group, other)) for group in stolen} if known else {}


def by_company(stolen: Sequence[Group], known: Sequence[Group]) -> Matching:
    """The same, refined in rounds by how often groups occur beside the commonest ones."""
    found = dict(by_frequency(stolen, known))
    near = {group: sorted(known, key=lambda other: _unlike(group, other))[:_NEAR] for group in stolen}
    anchors = [group for group in stolen if group.share < 0.98][:_ANCHORS]
    for _ in range(_ROUNDS if anchors else 0):
        pairs = [(anchor.rows, found[anchor].rows) for anchor in anchors]
        company = {other: _company(other, [known_rows for _, known_rows in pairs]) for other in known}
        found = {group: _best(group, near[group], pairs, company) for group in stolen}
    return found


def _best(
    group: Group, near: Iterable[Group], pairs: list[tuple[int, int]], company: Mapping[Group, list[float]]
) -> Group:
    mine = _company(group, [stolen_rows for stolen_rows, _ in pairs])

    def unlike(other: Group) -> float:
        apart = sum(abs(one - two) for one, two in zip(mine, company[other], strict=True))
        return _unlike(group, other) + 2 * apart / len(mine)

    return min(near, key=unlike)


def _unlike(one: Group, other: Group) -> float:
    """Frequencies on a scale on which chance moves all of them alike; sizes of groups beside them."""
    return abs(_scale(one.share) - _scale(other.share)) + 0.05 * abs(one.tokens - other.tokens)


def _scale(share: float) -> float:
    return asin(sqrt(share))


def _company(group: Group, anchors: Iterable[int]) -> list[float]:
    count = group.rows.bit_count()
    return [_scale((group.rows & anchor).bit_count() / count) for anchor in anchors]


def guesses(matching: Matching, count: int, values: Sequence[str]) -> list[str]:
    """What the thief believes of each stolen row.

    Args:
        matching: stolen groups with known ones.
        count: of stolen rows.
        values: what the known rows are, by their number.

    Returns:
        A value for each stolen row; the commonest where no token says more.
    """
    overall = Counter(values)
    usual, often = overall.most_common(1)[0]
    best: list[tuple[float, str]] = [(often / len(values), usual)] * count
    beliefs: dict[Group, tuple[float, str]] = {}
    for group, other in matching.items():
        belief = beliefs.get(other)
        if belief is None:
            belief = beliefs[other] = _belief(other.rows, values)
        rows = group.rows
        while rows:
            low = rows & -rows
            number = low.bit_length() - 1
            best[number] = max(best[number], belief)
            rows ^= low
    return [value for _, value in best]


def _belief(rows: int, values: Sequence[str]) -> tuple[float, str]:
    """The commonest value among some rows, with its share, lowered where the rows are few."""
    seen: Counter[str] = Counter()
    while rows:
        low = rows & -rows
        seen[values[low.bit_length() - 1]] += 1
        rows ^= low
    value, often = seen.most_common(1)[0]
    return often / (seen.total() + 2), value


def right(guessed: Sequence[str], truth: Sequence[str]) -> float:
    """Share of rows that were guessed right."""
    return sum(one == other for one, other in zip(guessed, truth, strict=True)) / len(truth)


def by_rank(stolen: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Plain rank matching within one family: the commonest stolen token is the commonest known value, and so on."""
    ranked = (
        [name for name, _ in sorted(Counter(each).items(), key=lambda pair: (-pair[1], pair[0]))]
        for each in (stolen, known)
    )
    return dict(zip(*ranked, strict=False))


def told_apart(guessed: Sequence[str], truth: Sequence[str]) -> float:
    """The same when somebody tells the thief which group is which: for few values that are alike in frequency."""
    pairs = Counter(zip(guessed, truth, strict=True))
    best: dict[str, int] = {}
    for (guess, _), count in pairs.items():
        best[guess] = max(best.get(guess, 0), count)
    return sum(best.values()) / len(truth)


def by_chain(stolen: Sequence[Row], known: Sequence[Row], values: Sequence[str], depth: int | None) -> list[str]:
    """Match values that carry nested tokens (prefixes of a name, years of a date) by the frequencies of the whole nest.

    Args:
        stolen: tokens of one family by row.
        known: the same of the thief's own rows.
        values: what his rows are.
        depth: how many of the commonest tokens of a row to compare; None for all.
    """
    theirs, own = _chains(stolen, depth), _chains(known, depth)
    meaning: dict[tuple[int, ...], str] = dict(zip(own, values, strict=True))
    by_length: dict[int, list[tuple[tuple[int, ...], list[float]]]] = defaultdict(list)
    for chain in dict.fromkeys(own):
        by_length[len(chain)].append((chain, _scaled(chain, len(known))))
    usual = Counter(values).most_common(1)[0][0]
    found: dict[tuple[int, ...], str] = {}
    for chain in dict.fromkeys(theirs):
        mine = _scaled(chain, len(stolen))
        nearest = min(by_length[len(chain)], key=lambda other: _apart(mine, other[1]), default=None)
        found[chain] = usual if nearest is None else meaning[nearest[0]]
    return [found[chain] for chain in theirs]


def _chains(rows: Sequence[Row], depth: int | None) -> list[tuple[int, ...]]:
    often = Counter(token for row in rows for token in row)
    return [tuple(sorted((often[token] for token in row), reverse=True)[:depth]) for row in rows]


def _scaled(chain: tuple[int, ...], rows: int) -> list[float]:
    return [_scale(count / rows) for count in chain]


def _apart(one: list[float], other: list[float]) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))
