# SPDX-License-Identifier: Apache-2.0
"""The tables of `knowledge.db`: installed packages with their resources, and code systems by the concept.

No table has a tenant: nothing in here is about anybody. The number in `generation` grows with every change, so that the
other processes notice (`library`).
"""

from __future__ import annotations

ROOM = "knowledge"

MIGRATIONS = (
    """
    create table generation(one int primary key check(one = 1), number int not null) strict;
    insert into generation values(1, 1);

    create table package(
        id integer primary key, name text not null, version text not null, title text not null,
        fhir text not null, dependencies text not null, sha256 text not null, installed_ms int not null,
        unique(name, version)) strict;
    create table resource(
        id integer primary key, package int not null references package(id) on delete cascade,
        type text not null, url text not null, version text not null, supplements text not null,
        body blob not null) strict;
    create index resource_by_url on resource(type, url);
    create index resource_by_package on resource(package);
    create index supplement on resource(supplements) where supplements <> '';

    create table system(
        id integer primary key, package int references package(id) on delete cascade, url text not null,
        version text not null, name text not null, is_a int not null, folds int not null, complete int not null,
        first int not null, last int not null, ready int not null, loaded_ms int not null) strict;
    create index system_by_url on system(url);
    create table concept(
        id integer primary key, system int not null, code text not null, display text not null,
        definition text not null, active int not null, abstract int not null) strict;
    create unique index concept_by_code on concept(system, code);
    create index concept_by_folded_code on concept(system, code collate nocase);
    create table designation(
        concept int not null, value text not null, language text not null, use text not null,
        primary key(concept, value, language, use)) strict, without rowid;
    create table property(
        system int not null, name text not null, value text not null, concept int not null, type text not null,
        primary key(system, name, value, concept)) strict, without rowid;
    create index property_of_concept on property(concept, name);
    create table parent(child int not null, parent int not null, primary key(child, parent)) strict, without rowid;
    create index child_by_parent on parent(parent, child);
    create table ancestry(
        ancestor int not null, descendant int not null, primary key(ancestor, descendant)) strict, without rowid;
    create virtual table concept_text using fts5(
        words, content='', contentless_delete=1, prefix='2 3', tokenize='unicode61 remove_diacritics 2');
    """,
)
"""SQL steps; see `salus.kernel.db.migrate`."""
