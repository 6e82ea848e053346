# SPDX-License-Identifier: Apache-2.0
"""The two compilers of a predicate give the same answer, whatever the predicate and the facts."""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.access.facts import Facts
from salus.access.predicate import (
    Always,
    And,
    AtMost,
    Contains,
    Equal,
    Never,
    Not,
    OneOf,
    Or,
    Predicate,
    Related,
    Subset,
    either,
    every,
    to_python,
    to_sql,
)
from salus.access.relations import Relations, prepare

# Few values, so that hits are as likely as misses.
SURROGATES = [bytes([n]) * 16 for n in range(4)] + [bytes(range(16))]
PARTIES = [b"p" * 16, b"q" * 16]

surrogates = st.sampled_from(SURROGATES)
joined = st.lists(surrogates, max_size=4).map(b"".join)
columns = st.sampled_from(["owners", "author", "labels", "sensitivity"])
several = st.lists(surrogates, max_size=3).map(tuple)
atoms: st.SearchStrategy[Predicate] = st.one_of(
    st.just(Always()),
    st.just(Never()),
    st.builds(Equal, columns, surrogates),
    st.builds(OneOf, columns, several),
    st.builds(Contains, columns, surrogates),
    st.builds(Subset, columns, several),
    st.builds(AtMost, st.integers(-1, 6)),
    st.builds(Related, st.sampled_from(["default", "other"]), st.sampled_from(PARTIES)),
)
predicates = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=8,
)
facts = st.builds(
    Facts,
    owners=joined,
    author=st.one_of(st.just(b""), surrogates),
    labels=joined,
    sensitivity=joined,
    rank=st.integers(0, 5),
)
relations = st.sets(st.tuples(st.sampled_from(["default", "other"]), st.sampled_from(PARTIES), surrogates), max_size=8)


@pytest.fixture(scope="module")
def memory() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    prepare(connection)
    connection.execute("create table record(owners, author, labels, sensitivity, rank)")
    yield connection
    connection.close()


@settings(max_examples=400)
@given(predicate=predicates, records=st.lists(facts, min_size=1, max_size=5), known=relations)
def test_closure_and_sql_agree(
    memory: apsw.Connection,
    predicate: Predicate,
    records: list[Facts],
    known: set[tuple[str, bytes, bytes]],
) -> None:
    with memory:
        memory.execute("delete from relation; delete from record")
        memory.executemany("insert into relation values(?,?,?,'care-team',x'00')", sorted(known))
        memory.executemany(
            "insert into record values(?,?,?,?,?)",
            [(r.owners, r.author, r.labels, r.sensitivity, r.rank) for r in records],
        )
        sql, values = to_sql(predicate)
        found = memory.execute(f"select r.rowid from record r where {sql} order by 1", values).fetchall()
    test = to_python(predicate, Relations(memory).related)
    assert [row[0] for row in found] == [n for n, record in enumerate(records, 1) if test(record)]


@given(parts=st.lists(atoms, max_size=4), record=facts)
def test_simplifying_changes_no_answer(parts: list[Predicate], record: Facts) -> None:
    def related(tenant: str, party: bytes, owner: bytes) -> bool:
        return (tenant, party) == ("default", PARTIES[0]) and owner in SURROGATES[:2]

    plain_and = to_python(And(tuple(parts)), related)(record)
    plain_or = to_python(Or(tuple(parts)), related)(record)
    assert to_python(every(parts), related)(record) == plain_and
    assert to_python(either(parts), related)(record) == plain_or


def test_values_are_bound_and_never_written_into_the_sql() -> None:
    nasty = b"') or 1=1 --    "
    sql, values = to_sql(Or((Equal("owners", nasty), Contains("labels", nasty), Related("x' or 1 --", nasty))))
    assert "1=1" not in sql
    assert "x'" not in sql
    assert nasty in values


def test_an_owner_column_of_several_needs_every_relationship(memory: apsw.Connection) -> None:
    first, second = SURROGATES[:2]
    asked = []

    def related(tenant: str, party: bytes, owner: bytes) -> bool:
        asked.append(owner)
        return owner == first

    test = to_python(Related("default", PARTIES[0]), related)
    assert test(Facts(owners=first))
    assert not test(Facts(owners=first + second))
    assert not test(Facts(owners=b""))
    assert asked == [first, first, second]
