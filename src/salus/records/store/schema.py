# SPDX-License-Identifier: Apache-2.0
"""Tables of the embedded store, and the shape of one row.

`record` holds every version of every record and only grows: a new version is a new row with the next `seq`, the former
one stops being current. `seq` is the order of writes, the cursor of paging and the rowid of the index. Nothing in a row
names anybody: `rid` and the facts are keyed surrogates, the body is sealed, ids live inside it.

Of an erased patient's record one row stays, deleted and with an empty body, so that its id answers that it is gone.
"""

from __future__ import annotations

import msgspec

ROOM = "records"

MIGRATIONS = (
    """
    create table record(
      seq integer primary key,       -- order of writes in this file
      tenant text not null,
      rid blob not null,             -- surrogate of Type/id, 16 bytes
      type text not null,
      version integer not null,
      current integer not null,      -- 1 on the newest version only
      deleted integer not null,
      method text not null,          -- POST, PUT or DELETE, for history bundles
      updated integer not null,      -- milliseconds since the epoch
      owners blob not null,          -- facts: see salus.access.facts
      author blob not null,
      labels blob not null,
      sensitivity blob not null,
      rank integer not null,
      body blob not null             -- sealed under the key of the owner or of the type
    ) strict;
    create unique index record_version on record(tenant, rid, version);
    create index record_type on record(tenant, type, seq);
    create virtual table blind_token using fts5(
      terms, content='', contentless_delete=1, detail='none', tokenize='ascii');
    insert into blind_token(blind_token, rank) values('usermerge', 2);  -- quiet times merge even two segments
    create table import_progress(
      tenant text not null, source blob not null, position integer not null, primary key(tenant, source)
    ) strict, without rowid;
    """,
    # What was read up to the position, as a keyed digest: a file that was changed since is noticed.
    "alter table import_progress add column mark blob not null default x''",
    # Which definitions of search parameters a row was indexed with, and what somebody defined: see `store.defined`.
    """
    alter table record add column indexed integer not null default 0;
    create table index_state(
      tenant text primary key,
      version integer not null,      -- of indexing itself, with which every current row is indexed
      definitions integer not null,  -- counts changes of what is indexed
      changes integer not null       -- counts every change: other processes read anew
    ) strict, without rowid;
    insert into index_state select distinct tenant, 0, 0, 0 from record;
    create table search_parameter(
      tenant text not null,
      name blob not null,            -- surrogate of the SearchParameter record, or of the URL of a package's
      since integer not null,        -- rows indexed with these definitions, or later ones, have it
      ready integer not null,
      body blob not null,            -- sealed
      primary key(tenant, name)
    ) strict, without rowid;
    """,
    # Contents of Binary records in chunks: see `store.contents`.
    """
    create table content(
      tenant text not null,
      rid blob not null,             -- surrogate of the record
      name blob not null,            -- random
      head blob not null,            -- sealed: key, size and hash of the content
      primary key(tenant, rid, name)
    ) strict, without rowid;
    create table content_chunk(
      tenant text not null,
      name blob not null,
      number integer not null,
      body blob not null             -- sealed under the key in the head
    ) strict;
    create unique index content_chunk_number on content_chunk(tenant, name, number);
    create table content_upload(
      tenant text not null, name blob not null, touched integer not null, primary key(tenant, name)
    ) strict, without rowid;
    create index content_upload_touched on content_upload(touched);
    """,
    # Patients who were erased: nothing is written for them any more. `mark` is keyed: nobody else can add a line.
    """
    create table erased(
      tenant text not null, owner blob not null, at integer not null, mark blob not null, primary key(tenant, owner)
    ) strict, without rowid;
    """,
    # Under which index keys tokens are: see `store.turned`.
    """
    alter table index_state add column key integer not null default 1;       -- searches ask under this one
    alter table index_state add column beside integer not null default 0;    -- writers make tokens under this one, too
    alter table index_state add column former integer not null default 0;    -- nobody does any more
    alter table index_state add column due integer not null default 0;       -- stamp of rows that are caught up with
    alter table index_state add column switched integer not null default 0;  -- milliseconds since the epoch
    """,
    # Patients whose key was replaced: the commitment to the one that everything is written under since. And the head of
    # a content under its former key, while its chunks are sealed anew: see `store.renewal`.
    """
    create table renewed(
      tenant text not null, owner blob not null, key blob not null, at integer not null, primary key(tenant, owner)
    ) strict, without rowid;
    alter table content add column former blob not null default x'';
    """,
    # What the tokens of a row add up to: see `store.marks`.
    "alter table record add column marks blob not null default x''",
)


class Row(msgspec.Struct, frozen=True):
    """One version of one record as it lies in the store; the body is still sealed."""

    seq: int
    rid: bytes
    type: str
    version: int
    current: int
    deleted: int
    method: str
    updated: int
    owners: bytes
    author: bytes
    labels: bytes
    sensitivity: bytes
    rank: int
    body: bytes


COLUMNS = ", ".join(f"r.{name}" for name in Row.__struct_fields__)
