# SPDX-License-Identifier: Apache-2.0
"""A word is put into every element that can hold one, and into all that goes wrong; then it is looked for everywhere.

It may be in no file of the data folder, no log, no error of anybody, and, once the pages of the database are opened
with their key, in no row either: there are only sealed bodies and keyed tokens.
"""

from __future__ import annotations

import json
import logging
from base64 import b16encode, b64encode
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from salus.fhir.definitions import resource_types
from salus.kernel.commit import Unit
from salus.kernel.db import open_database
from tests.support.clinic import Client, Clinic, heart_rate
from tests.support.maximal import maximal, occurrences
from tests.support.served import Served, salus

WORD = "canary7f3q9zkwxq"
_NOT_MADE = {  # rules between their elements leave no fullest form, or no role may keep them
    "Bundle",
    "CapabilityStatement",
    "EventDefinition",
    "FamilyMemberHistory",
    "Linkage",
    "List",
    "MeasureReport",
    "SearchParameter",
    "StructureDefinition",
    "TerminologyCapabilities",
}


def forms(word: str) -> list[bytes]:
    """A word as it could lie about: plain, capitals, UTF-16, hex, backwards, base64 at its three alignments."""
    plain = word.encode()
    found = [plain, plain.upper(), word.encode("utf-16-le"), b16encode(plain), b16encode(plain).lower(), plain[::-1]]
    for shift in range(3):
        encoded = b64encode(b"x" * shift + plain).rstrip(b"=")
        found.append(encoded[4 if shift else 0 : -1])
    return found


def assert_absent(data: bytes, where: str) -> None:
    """The word is not in it in any form."""
    for form in forms(WORD):
        assert form not in data, f"{form!r} in {where}"


def files_of(folder: Path) -> list[Path]:
    """Every file below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def everything_goes_wrong(who: Client, other: Client) -> Iterator[bytes]:
    """Requests that fail or find nothing, with the word in every part; gives what they tell `other`."""
    header = {
        "if-match": WORD,
        "prefer": f"return={WORD}",
        "if-none-exist": f"identifier=no-{WORD}",
        "x-request-id": WORD,
    }
    who.get(f"/fhir/Patient?name={WORD}&_sort=birthdate&_total=accurate")
    who.get(f"/fhir/Patient?identifier=https://x.example/{WORD}|{WORD}")
    who.get(f"/fhir/Observation?code:text={WORD}&_include=Observation:subject")
    who.request(
        "POST",
        "/fhir/Patient/_search",
        content=f"name:contains={WORD}",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    for person in (who, other):
        for path in (f"Patient/{WORD}", f"Patient/id-{WORD}", f"{WORD}/1", f"Patient/x/_history/{WORD}"):
            answer = person.get(f"/fhir/{path}", headers=header)
            if person is other:
                yield answer.content
        for body in (
            {"resourceType": "Patient", WORD: WORD},
            {"resourceType": WORD},
            {"resourceType": "Patient", "gender": WORD, "birthDate": WORD, "active": WORD, "name": WORD},
            heart_rate(WORD, 1, "x") | {"status": WORD},
        ):
            yield (
                person.post("/fhir/Patient", body, headers=header)
                .content.replace(f'.{WORD}"'.encode(), b"")
                .replace(f"`Patient.{WORD}`".encode(), b"")
            )  # a name that looks like an element is repeated to whoever sent it, and to nobody else
        broken = f'{{"resourceType":"Patient","name":"{WORD}'.encode()
        yield person.request(
            "PUT", "/fhir/Patient/x", content=broken, headers={"content-type": "application/json"}
        ).content
    yield other.get("/fhir/Patient", headers={"authorization": f"Bearer {WORD}"}).content
    sign_in = {"user": WORD, "password": WORD, "code": WORD, "purpose": WORD}
    yield other.post("/auth/token", sign_in, headers={"content-type": "application/json"}).content


@pytest.fixture(scope="module")
def sown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clinic, dict[str, int], str]]:
    """A clinic full of the word; how often it stands in each type; what was logged meanwhile."""
    clinic = Clinic(tmp_path_factory.mktemp("canary") / "data")
    logged: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(record.getMessage())

    keeping = Keep(level=logging.DEBUG)
    logging.getLogger("salus").addHandler(keeping)
    service = clinic.as_("service")
    counted = {}
    for type_ in resource_types():
        if type_ in _NOT_MADE:
            continue
        resource = maximal(type_, WORD, "anna")
        answer = service.put(f"/fhir/{type_}/{resource['id']}", resource)
        if answer.status_code == 201:
            counted[type_] = occurrences(resource, WORD)
        else:
            assert answer.status_code == 403, (type_, answer.text)  # a type that no role may keep
    unit = Unit()
    clinic.house.users.add_service(unit, "default", WORD, roles=("nurse",), display=WORD, party=f"Practitioner/{WORD}")
    clinic.run(clinic._commit(unit))
    for told in everything_goes_wrong(service, clinic.as_("nurse")):
        assert_absent(told, "an answer")
    service.delete(f"/fhir/Observation/id-{WORD}")
    clinic.close()
    yield clinic, counted, "\n".join(logged)
    logging.getLogger("salus").removeHandler(keeping)
    clinic.loop.close()


def test_the_word_is_really_there(sown: tuple[Clinic, dict[str, int], str]) -> None:
    """Without this the tests here could pass because nothing was sown."""
    clinic, counted, _ = sown
    assert len(counted) > 80
    assert min(counted.values()) > 20
    assert sum(counted.values()) > 20_000
    clinic.open()
    try:
        assert WORD in clinic.as_("service").get(f"/fhir/Patient/id-{WORD}").text
        assert len(clinic.as_("service").find(f"Patient?identifier=https://x.example/{WORD}|{WORD}")) == 1
        assert WORD in b64_decoded(clinic.as_("auditor").get("/fhir/AuditEvent?_count=1000").text)
    finally:
        clinic.close()


def b64_decoded(log: str) -> str:
    """The audit log with its queries in clear."""
    from base64 import b64decode

    queries = [
        entity["query"]
        for entry in json.loads(log)["entry"]
        for entity in entry["resource"].get("entity", ())
        if "query" in entity
    ]
    return " ".join(b64decode(query).decode() for query in queries)


def test_the_word_is_in_no_file(sown: tuple[Clinic, dict[str, int], str]) -> None:
    clinic, _, _ = sown
    files = files_of(clinic.folder)
    assert {"records.db", "keys.db", "salus.toml", "policy.toml", "records.db.lock"} <= {path.name for path in files}
    assert any("checkpoints" in path.parts for path in files)
    for path in files:
        assert_absent(path.name.encode() + b"\0" + path.read_bytes(), path.name)


def test_the_database_files_are_noise_without_their_key(sown: tuple[Clinic, dict[str, int], str]) -> None:
    """Not even table names or resource types show; a page-encrypted file has no SQLite header."""
    clinic, _, _ = sown
    for path in files_of(clinic.folder):
        if path.suffix == ".db" or path.name.endswith("-wal"):
            data = path.read_bytes()
            for plain in (b"SQLite format", b"create table", b"Observation", b"audit_batch", b"default"):
                assert plain not in data, (path.name, plain)


def test_the_word_is_in_no_log(sown: tuple[Clinic, dict[str, int], str]) -> None:
    assert_absent(sown[2].encode(), "the log")


def dumped(path: Path, page_key: bytes) -> Iterator[tuple[str, bytes]]:
    """Every value of every row of every table, the hidden tables of the index included."""
    db = open_database(path, page_key)
    tables = [row[0] for row in db.execute("select name from sqlite_schema where type='table'")]
    yield "schema", str(db.execute("select * from sqlite_schema").fetchall()).encode()
    for table in tables:
        try:
            rows = db.execute(f'select * from "{table}"').fetchall()
        except apsw.SQLError:  # a contentless index has no columns to show; its own tables are dumped as well
            continue
        for row in rows:
            for value in row:
                yield table, value if isinstance(value, bytes) else str(value).encode()
    db.close()


def test_the_word_is_in_no_row_under_the_page_encryption(sown: tuple[Clinic, dict[str, int], str]) -> None:
    clinic, _, _ = sown
    clinic.open()
    keyring = clinic.house.keyring
    keys = {"records.db": keyring.page_key("records"), "keys/keys.db": keyring.page_key("keys")}
    clinic.close()
    seen: dict[str, bytes] = {}
    for name, key in keys.items():
        for table, value in dumped(clinic.folder / name, key):
            assert_absent(value, f"{name} {table}")
            seen[table] = seen.get(table, b"") + value
    assert {"record", "audit_batch", "relation", "account", "token", "patient_key", "blind_token_data"} <= set(seen)
    assert b"Observation" in seen["record"]  # the type of a record is in clear under the pages: the dump does see
    assert b"anna" not in b"".join(seen.values())


def test_a_real_server_prints_and_keeps_nothing(served: Served) -> None:
    """The same against `salus serve`: what it prints is part of what is searched."""
    folder = served.folder
    token = salus("token", "issue", "feed", "--data-dir", folder).stdout.strip()
    stranger = salus("token", "issue", "dr", "--data-dir", folder).stdout.strip()
    with served.client(token) as client, served.client(stranger) as other:
        for type_ in ("Patient", "Observation", "DocumentReference", "Claim"):
            body = maximal(type_, WORD, "anna")
            path = f"/fhir/{type_}/{body['id']}"
            kind = {"content-type": "application/fhir+json"}
            assert client.put(path, json=body, headers=kind).status_code == 201
            assert client.get(path).status_code == 200
            assert client.get(f"/fhir/{type_}?_id={body['id']}&_lastUpdated=gt2000").status_code == 200
        for path in (f"/{WORD}", f"/fhir/{WORD}", f"/fhir/Patient?{WORD}={WORD}", f"/fhir/Patient/%FF{WORD}"):
            client.get(path, headers={"referer": WORD, "user-agent": WORD})
        client.put("/fhir/Patient/x", content=f"{{{WORD}".encode(), headers={"content-type": "application/json"})
        client.get("/fhir/Patient", headers={"authorization": f"Bearer {WORD}"})
        assert_absent(other.get(f"/fhir/Claim/id-{WORD}").content, "the answer to someone else")
        running = [path for path in files_of(folder) if path.suffix != ".sock"]
        for path in running:  # while it runs too: the write-ahead log is full now
            assert_absent(path.read_bytes(), path.name)
    served.stop()
    log = folder.parent / "server.log"
    assert_absent(log.read_bytes(), "what the server printed")
    for path in files_of(folder):
        assert_absent(path.read_bytes(), path.name)
