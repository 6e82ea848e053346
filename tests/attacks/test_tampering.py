# SPDX-License-Identifier: Apache-2.0
"""Somebody edits the database with the page key in hand: what was changed is refused, and nothing of it released."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from salus.audit.event import EventType, Outcome
from salus.audit.reading import Filter
from salus.kernel.db import Connection, open_database
from tests.attacks.ward import CONFIDENTIALITY
from tests.support.clinic import Clinic, heart_rate, put_all

Forgery = Callable[[Connection, Clinic], object]


def rid(clinic: Clinic, place: str) -> bytes:
    """The surrogate of `Type/id`."""
    return clinic.house.keyring.tenant("default").surrogate("record", place)


def forge(clinic: Clinic, how: Forgery) -> None:
    """Edit the database as somebody with its page key would, from outside."""
    db = open_database(clinic.folder / "records.db", clinic.house.keyring.page_key("records"))
    how(db, clinic)
    db.close()


def _set(column: str, value: Any, place: str = "Observation/pulse-anna") -> Forgery:
    def how(db: Connection, clinic: Clinic) -> None:
        db.execute(f"update record set {column} = ? where rid = ?", (value, rid(clinic, place)))
        assert db.changes() > 0

    return how


def _flip(position: int) -> Forgery:
    def how(db: Connection, clinic: Clinic) -> None:
        mine = rid(clinic, "Observation/pulse-anna")
        body = bytearray(db.execute("select body from record where rid=?", (mine,)).fetchone()[0])
        body[position] ^= 1
        db.execute("update record set body=? where rid=?", (bytes(body), mine))

    return how


def _body_of(other: str) -> Forgery:
    def how(db: Connection, clinic: Clinic) -> None:
        body = db.execute("select body from record where rid=?", (rid(clinic, other),)).fetchone()[0]
        db.execute("update record set body=? where rid=?", (body, rid(clinic, "Observation/pulse-anna")))

    return how


def _owner(name: str) -> Forgery:
    def how(db: Connection, clinic: Clinic) -> None:
        owner = clinic.house.keyring.tenant("default").surrogate("Patient", name)
        _set("owners", owner)(db, clinic)

    return how


def _cut(db: Connection, clinic: Clinic) -> None:
    db.execute("update record set body=substr(body, 1, 40) where rid=?", (rid(clinic, "Observation/pulse-anna"),))


BODIES: dict[str, Forgery] = {
    "first byte": _flip(0),
    "commitment": _flip(20),
    "nonce": _flip(40),
    "ciphertext": _flip(70),
    "tag": _flip(-1),
    "cut": _cut,
    "emptied": _set("body", b""),
    "another record of the patient": _body_of("Condition/asthma-anna"),
    "the same type of another patient": _body_of("Observation/pulse-bert"),
    "owner bert": _owner("bert"),
    "owner nobody": _set("owners", b""),
    "author": _set("author", b"x" * 16),
    "labels": _set("labels", b"x" * 16),
    "sensitivity": _set("sensitivity", b"x" * 16),
    "rank": _set("rank", 0),
    "version": _set("version", 7),
    "deleted": _set("deleted", 1),
}


@pytest.mark.parametrize("forgery", BODIES)
def test_an_edited_row_is_refused_by_every_reader(
    clinic: Clinic, forgery: str, caplog: pytest.LogCaptureFixture
) -> None:
    version = 7 if forgery == "version" else 1
    # Without an owner the type's key is tried; where there is none the record reads as erased.
    refusals = {410, 500} if forgery == "owner nobody" else {500}
    with caplog.at_level(logging.DEBUG):
        forge(clinic, BODIES[forgery])
        service = clinic.as_("service")
        for path in ("", f"/_history/{version}", "/_history"):
            answer = service.get(f"/fhir/Observation/pulse-anna{path}")
            assert answer.status_code in refusals, (path, answer.text)
            assert answer.json()["resourceType"] == "OperationOutcome"
            assert "valueQuantity" not in answer.text
        if forgery != "deleted":  # a search leaves out what claims to be deleted
            for query in ("_id=pulse-anna", "code=8867-4", "_sort=date", "date=2026-03-01"):
                answer = service.get(f"/fhir/Observation?{query}")
                assert answer.status_code in refusals, query
                assert "valueQuantity" not in answer.text
        for name in ("anna", "bert", "nurse", "physician"):
            answer = clinic.as_(name).get("/fhir/Observation/pulse-anna")
            assert answer.status_code in {404, *refusals}
            assert "valueQuantity" not in answer.text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("salus")]
    assert ours or 410 in refusals
    assert all(word not in message for message in ours for word in ("8867-4", "pulse", "anna"))
    assert service.get("/fhir/Observation/pulse-bert").status_code == 200  # the neighbours are well


def test_a_refused_row_is_audited(clinic: Clinic) -> None:
    forge(clinic, _flip(70))
    clinic.as_("physician").get("/fhir/Observation/pulse-anna")
    reader = clinic.log()
    event = reader.page("default", Filter(), limit=1).entries[0][1].event
    assert (event.type, event.outcome, event.actor.id) == (EventType.RECORD_READ, Outcome.FAILED, "physician")
    assert [(entity.type, entity.id) for entity in event.entities] == [("Observation", "pulse-anna")]


def test_a_row_moved_to_another_id(clinic: Clinic) -> None:
    def how(db: Connection, clinic: Clinic) -> None:
        db.execute(
            "update record set rid=? where rid=?",
            (rid(clinic, "Observation/new"), rid(clinic, "Observation/pulse-anna")),
        )

    forge(clinic, how)
    assert clinic.as_("service").get("/fhir/Observation/new").status_code == 500
    assert clinic.as_("service").get("/fhir/Observation/pulse-anna").status_code == 404


def test_a_row_moved_to_a_type_that_the_reader_may_see(clinic: Clinic) -> None:
    """Billing reads conditions without notes and no observations."""

    def how(db: Connection, clinic: Clinic) -> None:
        db.execute(
            "update record set type='Condition', rid=? where rid=?",
            (rid(clinic, "Condition/x"), rid(clinic, "Observation/pulse-anna")),
        )

    forge(clinic, how)
    answer = clinic.as_("billing").get("/fhir/Condition/x")
    assert answer.status_code == 500
    assert "valueQuantity" not in answer.text


def test_a_row_moved_to_another_tenant(clinic: Clinic) -> None:
    other = clinic.house.keyring.create_tenant("other")

    def how(db: Connection, clinic: Clinic) -> None:
        db.execute(
            "update record set tenant='other', rid=?, owners=? where rid=?",
            (
                other.surrogate("record", "Observation/pulse-anna"),
                other.surrogate("Patient", "anna"),
                rid(clinic, "Observation/pulse-anna"),
            ),
        )

    forge(clinic, how)
    from salus.kernel.commit import Unit
    from tests.support.clinic import Client

    unit = Unit()
    clinic.house.users.add_service(unit, "other", "feed", roles=("service",), display="feed")
    clinic.run(clinic._commit(unit))
    user = clinic.house.users.find("other", "feed")
    assert user is not None
    unit = Unit()
    token, _ = clinic.house.tokens.issue(unit, user, "TREAT")
    clinic.run(clinic._commit(unit))
    feed = Client(clinic, {"authorization": f"Bearer {token}"})
    answer = feed.get("/t/other/fhir/Observation/pulse-anna")
    assert answer.status_code in {410, 500}  # 410: in that tenant the patient has no key, as if erased
    assert "valueQuantity" not in answer.text


def test_an_old_body_put_back_under_the_new_version(clinic: Clinic) -> None:
    put_all(clinic.as_("service"), heart_rate("anna", 180))

    def how(db: Connection, clinic: Clinic) -> None:
        mine = rid(clinic, "Observation/pulse-anna")
        db.execute(
            "update record set body=(select body from record where rid=?1 and version=1) where rid=?1 and version=2",
            (mine,),
        )

    forge(clinic, how)
    assert clinic.as_("service").get("/fhir/Observation/pulse-anna").status_code == 500
    assert clinic.as_("service").get("/fhir/Observation/pulse-anna/_history/1").status_code == 200


def test_an_old_version_dressed_as_the_newest(clinic: Clinic) -> None:
    put_all(clinic.as_("service"), heart_rate("anna", 180))

    def how(db: Connection, clinic: Clinic) -> None:
        mine = rid(clinic, "Observation/pulse-anna")
        db.execute("update record set version=3, current=1 where rid=? and version=1", (mine,))
        db.execute("update record set current=0 where rid=? and version=2", (mine,))

    forge(clinic, how)
    assert clinic.as_("service").get("/fhir/Observation/pulse-anna").status_code == 500


def test_a_label_taken_off_in_the_database_opens_nothing(clinic: Clinic) -> None:
    restricted = heart_rate("bert", 70, "restricted")
    restricted["meta"] = {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
    put_all(clinic.as_("service"), restricted)
    forge(clinic, _set("rank", 3, "Observation/restricted"))
    answer = clinic.as_("physician").get("/fhir/Observation/restricted")
    assert answer.status_code == 500
    assert "valueQuantity" not in answer.text


def test_index_words_moved_to_another_row_bring_in_no_hidden_record(clinic: Clinic) -> None:
    """The index narrows, it does not decide: a forged one can hide and confuse, not open."""

    def how(db: Connection, clinic: Clinic) -> None:
        seqs = {place: db.execute("select seq from record where rid=?", (rid(clinic, place),)).get for place in PLACES}
        for place in PLACES:
            db.execute("delete from blind_token where rowid=?", (seqs[place],))
        expression = plan_expression(clinic)
        words = " ".join(expression.replace("AND", " ").replace("OR", " ").replace("(", " ").replace(")", " ").split())
        for place in PLACES:
            db.execute("insert into blind_token(rowid, terms) values(?,?)", (seqs[place], words.replace('"', "")))

    forge(clinic, how)
    anna = clinic.as_("anna").find("Observation?code=8867-4")
    assert {resource["id"] for resource in anna} == {"pulse-anna"}
    assert clinic.as_("nurse").get("/fhir/Observation?code=8867-4&_summary=count").json()["total"] == 1


PLACES = ("Observation/pulse-anna", "Observation/pulse-bert")


def plan_expression(clinic: Clinic) -> str:
    """What a search for heart rates asks the index."""
    from salus.access.permissions import Permission
    from salus.records.finding import plan_of, read_query

    ctx = clinic.context("service")
    permit = ctx.decide(Permission.RECORD_SEARCH, "Observation")
    return plan_of(ctx, permit, read_query(ctx, permit, [("code", "8867-4")])).expression


def test_a_token_row_pointed_at_another_account(clinic: Clinic) -> None:
    """Anna's token under the physician's handle does not become the physician's."""
    clinic.token("anna"), clinic.token("physician")

    def how(db: Connection, clinic: Clinic) -> None:
        handles = dict(db.execute("select id, handle from token").fetchall())
        mine = next(t.id for t in clinic.house.tokens.all_tokens("default", "anna"))
        theirs = next(t.id for t in clinic.house.tokens.all_tokens("default", "physician"))
        db.execute("update token set handle=? where id=?", (handles[theirs], mine))
        db.execute("update generation set number=number+1")

    forge(clinic, how)
    clinic.house.tokens.forget()
    answer = clinic.as_("anna").get("/fhir/Patient/bert")
    assert answer.status_code in {401, 500}
    assert "Brown" not in answer.text


def test_an_account_given_the_sealed_profile_of_another(clinic: Clinic) -> None:
    clinic.token("anna")

    def how(db: Connection, clinic: Clinic) -> None:
        from salus.identity.accounts.profile import handle_of

        keys = clinic.house.keyring.tenant("default")
        mine, theirs = handle_of(keys, "anna"), handle_of(keys, "service")
        db.execute(
            "update account set sealed=(select sealed from account where handle=?) where handle=?", (theirs, mine)
        )
        db.execute("update generation set number=number+1")

    forge(clinic, how)
    clinic.house.tokens.forget()
    assert clinic.as_("anna").get("/fhir/Patient/bert").status_code in {401, 500}
