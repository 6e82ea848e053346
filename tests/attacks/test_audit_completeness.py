# SPDX-License-Identifier: Apache-2.0
"""Every access leaves exactly one entry that says who, what, why, how it ended, and whose record it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from salus.audit.event import Event, EventType, Outcome
from salus.audit.reading import entries, size
from salus.audit.verify import verify
from tests.support.clinic import BASE, Clinic, heart_rate

JSON = dict[str, Any]
GRANTED, REFUSED, FAILED = Outcome.GRANTED, Outcome.REFUSED, Outcome.FAILED
E = EventType


class Watch:
    """The entries that were written since it began."""

    def __init__(self, clinic: Clinic) -> None:
        clinic.token("physician")  # issuing tokens is no part of what is watched
        self._clinic = clinic
        self._house = clinic.house
        clinic.log()
        self._from = size(self._house.db, "default")
        self._surrogate = lambda who: self._house.keyring.tenant("default").surrogate("Patient", who)

    def events(self) -> list[Event]:
        """In the order in which they were written."""
        self._clinic.log()
        keys = self._house.keyring.tenant("default")
        return [entry.event for _, entry in entries(self._house.db, keys, self._from)]

    def touched(self, event: Event) -> list[tuple[str, str, int, str]]:
        """(patient, Type/id, version, action); the patient is empty for records of nobody."""
        names = {self._surrogate(who): who for who in ("anna", "bert")} | {b"": ""}
        return [(names[e.owner], f"{e.type}/{e.id}", e.version, e.action) for e in event.entities]


def pulse(patient: str, **more: Any) -> JSON:
    """A heart rate without an id."""
    made = heart_rate(patient, 70) | more
    del made["id"]
    return made


Case = tuple[str, str, str, JSON | None, dict[str, str], int, EventType, Outcome, list[tuple[str, str, int, str]]]

ANNA, BERT = ("anna", "Patient/anna", 1, "R"), ("bert", "Patient/bert", 1, "R")
NOBODY = ("", "Patient/nobody", 0, "R")

CASES: dict[str, Case] = {
    "read": ("physician", "GET", "Patient/anna", None, {}, 200, E.RECORD_READ, GRANTED, [ANNA]),
    "read not modified": (
        "physician", "GET", "Patient/anna", None, {"if-none-match": 'W/"1"'}, 304, E.RECORD_READ, GRANTED, [ANNA],
    ),
    "read absent": ("physician", "GET", "Patient/nobody", None, {}, 404, E.RECORD_READ, REFUSED, [NOBODY]),
    "read hidden": (
        "anna", "GET", "Patient/bert", None, {}, 404, E.RECORD_READ, REFUSED, [("", "Patient/bert", 0, "R")],
    ),
    "read forbidden": (
        "auditor", "GET", "Patient/anna", None, {}, 403, E.RECORD_READ, REFUSED, [("", "Patient/anna", 0, "R")],
    ),
    "vread": ("physician", "GET", "Patient/anna/_history/1", None, {}, 200, E.RECORD_VREAD, GRANTED, [ANNA]),
    "vread absent": (
        "physician", "GET", "Patient/anna/_history/9", None, {}, 404, E.RECORD_VREAD, REFUSED,
        [("", "Patient/anna", 0, "R")],
    ),
    "history": ("physician", "GET", "Patient/anna/_history", None, {}, 200, E.RECORD_HISTORY, GRANTED, [ANNA]),
    "history hidden": (
        "anna", "GET", "Patient/bert/_history", None, {}, 404, E.RECORD_HISTORY, REFUSED,
        [("", "Patient/bert", 0, "R")],
    ),
    "history of type": (
        "physician", "GET", "Patient/_history", None, {}, 200, E.RECORD_HISTORY, GRANTED, [BERT, ANNA],
    ),
    "history of all": (
        "auditor", "GET", "_history", None, {}, 403, E.RECORD_HISTORY, REFUSED, [],
    ),
    "search": ("physician", "GET", "Patient?_sort=-_id", None, {}, 200, E.RECORD_SEARCH, GRANTED, [BERT, ANNA]),
    "search of one": ("anna", "GET", "Patient", None, {}, 200, E.RECORD_SEARCH, GRANTED, [ANNA]),
    "search with include": (
        "physician", "GET", "Condition?patient=anna&_include=Condition:subject", None, {}, 200,
        E.RECORD_SEARCH, GRANTED, [("anna", "Condition/asthma-anna", 1, "R"), ANNA],
    ),
    "search without hit": ("physician", "GET", "Patient?name=zzz", None, {}, 200, E.RECORD_SEARCH, GRANTED, []),
    "count": ("physician", "GET", "Patient?_summary=count", None, {}, 200, E.RECORD_SEARCH, GRANTED, []),
    "search forbidden": ("researcher", "GET", "Patient", None, {}, 403, E.RECORD_SEARCH, REFUSED, []),
    "search not understood": ("physician", "GET", "Patient?nonsense=1", None, {}, 400, E.RECORD_SEARCH, FAILED, []),
    "search by hidden element": ("laboratory", "GET", "Patient?phone=1", None, {}, 403, E.RECORD_SEARCH, REFUSED, []),
    "create forbidden": ("anna", "POST", "Observation", pulse("anna"), {}, 403, E.RECORD_CREATE, REFUSED, []),
    "create for another": ("nurse", "POST", "Observation", pulse("bert"), {}, 403, E.RECORD_CREATE, REFUSED, []),
    "create invalid": ("nurse", "POST", "Observation", pulse("anna", status="x"), {}, 422, E.RECORD_CREATE, FAILED, []),
    "create if none, one there": (
        "physician", "POST", "Patient", {"resourceType": "Patient"}, {"if-none-exist": "_id=anna"}, 200,
        E.RECORD_READ, GRANTED, [ANNA],
    ),
    "create if none, several there": (
        "physician", "POST", "Patient", {"resourceType": "Patient"}, {"if-none-exist": "_id=anna,bert"}, 412,
        E.RECORD_CREATE, FAILED, [],
    ),
    "update": (
        "physician", "PUT", "Observation/pulse-anna", heart_rate("anna", 71), {}, 200, E.RECORD_UPDATE, GRANTED,
        [("anna", "Observation/pulse-anna", 2, "U")],
    ),
    "update stale": (
        "physician", "PUT", "Observation/pulse-anna", heart_rate("anna", 71), {"if-match": 'W/"9"'}, 412,
        E.RECORD_UPDATE, FAILED, [("", "Observation/pulse-anna", 0, "U")],
    ),
    "update of hidden": (
        "nurse", "PUT", "Observation/pulse-bert", heart_rate("bert", 71), {}, 403, E.RECORD_UPDATE, REFUSED,
        [("", "Observation/pulse-bert", 0, "U")],
    ),
    "conditional update": (
        "physician", "PUT", "Observation?patient=bert", pulse("bert"), {}, 200, E.RECORD_UPDATE, GRANTED,
        [("bert", "Observation/pulse-bert", 2, "U")],
    ),
    "delete": (
        "service", "DELETE", "Observation/pulse-bert", None, {}, 204, E.RECORD_DELETE, GRANTED,
        [("bert", "Observation/pulse-bert", 2, "D")],
    ),
    "delete forbidden": (
        "nurse", "DELETE", "Observation/pulse-anna", None, {}, 403, E.RECORD_DELETE, REFUSED,
        [("", "Observation/pulse-anna", 0, "D")],
    ),
    "delete absent": (
        "service", "DELETE", "Observation/none", None, {}, 404, E.RECORD_DELETE, REFUSED,
        [("", "Observation/none", 0, "D")],
    ),
    "conditional delete": (
        "service", "DELETE", "Condition?patient=bert", None, {}, 204, E.RECORD_DELETE, GRANTED,
        [("bert", "Condition/asthma-bert", 2, "D")],
    ),
    "conditional delete of none": (
        "service", "DELETE", "Condition?patient=nobody", None, {}, 204, E.RECORD_DELETE, GRANTED, [],
    ),
    "audit": ("auditor", "GET", "AuditEvent?_count=1", None, {}, 200, E.AUDIT_READ, GRANTED, []),
    "audit entry": ("auditor", "GET", "AuditEvent/0", None, {}, 200, E.AUDIT_READ, GRANTED, []),
    "audit entry absent": ("auditor", "GET", "AuditEvent/999999", None, {}, 404, E.AUDIT_READ, REFUSED, []),
    "audit forbidden": ("physician", "GET", "AuditEvent", None, {}, 403, E.AUDIT_READ, REFUSED, []),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_request_leaves_one_exact_entry(clinic: Clinic, case: str) -> None:
    name, method, path, body, headers, status, type_, outcome, touched = CASES[case]
    who = clinic.as_(name)
    watch = Watch(clinic)
    answer = who.request(method, f"/fhir/{path}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    (event,) = watch.events()
    assert (event.type, event.outcome) == (type_, outcome)
    assert event.actor.id == name
    assert event.actor.purpose == clinic.house.tokens.lookup("default", clinic.token(name)).purpose
    assert event.actor.session
    assert event.address == "127.0.0.9"
    assert event.request == answer.headers["x-request-id"]
    assert watch.touched(event) == touched
    if outcome is GRANTED and touched:
        assert event.reason.startswith("clinic-default version 1, grant ")
    assert event.reason


def test_a_created_record_is_named_with_its_new_id(clinic: Clinic) -> None:
    watch = Watch(clinic)
    made = clinic.as_("physician").post("/fhir/Observation", pulse("bert")).json()
    (event,) = watch.events()[-1:]
    assert event.type is E.RECORD_CREATE
    assert watch.touched(event) == [("bert", f"Observation/{made['id']}", 1, "C")]


def test_each_page_names_what_it_showed(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    watch = Watch(clinic)
    first = physician.get("/fhir/Patient?_count=1&gender=male,female").json()
    following = next(link["url"] for link in first["link"] if link["relation"] == "next").removeprefix(BASE)
    assert physician.get(following).status_code == 200
    one, two = watch.events()
    assert watch.touched(one) == [BERT]
    assert watch.touched(two) == [ANNA]
    assert "gender" in one.query
    assert "gender" in two.query  # what the page continues, not only that it is a page


def test_a_record_of_two_patients_is_entered_for_both(clinic: Clinic) -> None:
    service = clinic.as_("service")
    appointment = {
        "resourceType": "Appointment",
        "id": "both",
        "status": "proposed",
        "participant": [{"actor": {"reference": f"Patient/{who}"}, "status": "accepted"} for who in ("anna", "bert")],
    }
    watch = Watch(clinic)
    service.put("/fhir/Appointment/both", appointment)
    service.get("/fhir/Appointment/both")
    written, read = watch.events()
    assert sorted(watch.touched(written)) == [(who, "Appointment/both", 1, "C") for who in ("anna", "bert")]
    assert sorted(watch.touched(read)) == [(who, "Appointment/both", 1, "R") for who in ("anna", "bert")]
    reader = clinic.log()
    from salus.audit.reading import Filter

    for who in ("anna", "bert"):
        mine = reader.page("default", Filter(owner=reader.owner("default", who)), limit=2).entries
        assert [entry.event.type for _, entry in mine] == [E.RECORD_READ, E.RECORD_UPDATE]


def bundle(kind: str, *items: JSON) -> JSON:
    """A Bundle."""
    return {"resourceType": "Bundle", "type": kind, "entry": list(items)}


def get(url: str) -> JSON:
    """A GET entry."""
    return {"request": {"method": "GET", "url": url}}


def post(resource: JSON) -> JSON:
    """A POST entry."""
    return {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}


def test_a_transaction_is_one_entry_for_what_it_wrote_and_one_for_each_read(clinic: Clinic) -> None:
    watch = Watch(clinic)
    sent = bundle("transaction", post(pulse("anna")), post(pulse("bert")), get("Patient/anna"), get("Patient/nobody"))
    assert clinic.as_("physician").post("/fhir", sent).status_code == 200
    written, read, absent = watch.events()
    assert (written.type, written.outcome) == (E.RECORD_TRANSACTION, GRANTED)
    assert [(who, action) for who, _, _, action in watch.touched(written)] == [("anna", "C"), ("bert", "C")]
    assert (read.type, read.outcome, watch.touched(read)) == (E.RECORD_READ, GRANTED, [ANNA])
    assert (absent.type, absent.outcome) == (E.RECORD_READ, REFUSED)
    assert len({event.request for event in watch.events()}) == 1


def test_a_refused_transaction_is_one_refused_entry(clinic: Clinic) -> None:
    clinic.as_("nurse")
    watch = Watch(clinic)
    sent = bundle("transaction", post(pulse("anna")), post(pulse("bert")))
    assert clinic.as_("nurse").post("/fhir", sent).status_code == 403
    (event,) = watch.events()
    assert (event.type, event.outcome, event.actor.id) == (E.RECORD_TRANSACTION, REFUSED, "nurse")


def test_each_entry_of_a_batch_is_an_entry_of_its_own(clinic: Clinic) -> None:
    clinic.as_("nurse")
    watch = Watch(clinic)
    clinic.as_("nurse").post("/fhir", bundle("batch", post(pulse("anna")), post(pulse("bert")), get("Patient/anna")))
    told = sorted((event.type.value, event.outcome.value) for event in watch.events())
    assert told == [("record.create", "granted"), ("record.create", "refused"), ("record.read", "granted")]


@pytest.mark.parametrize(
    "attempt",
    [
        lambda clinic: clinic.stranger.get("/fhir/Patient/anna"),
        lambda clinic: clinic.stranger.get("/fhir/AuditEvent"),
        lambda clinic: clinic.stranger.get("/fhir/Patient/anna", headers={"authorization": "Bearer x"}),
        lambda clinic: clinic.stranger.get("/fhir/Patient/anna", headers={"authorization": "Basic eDp5"}),
        lambda clinic: clinic.stranger.post("/fhir", bundle("batch")),
    ],
)
def test_a_stranger_is_written_down_too(clinic: Clinic, attempt: Callable[[Clinic], Any]) -> None:
    watch = Watch(clinic)
    assert attempt(clinic).status_code == 401
    (event,) = watch.events()
    assert (event.type, event.outcome, event.actor.id) == (E.AUTH_REFUSED, REFUSED, "anonymous")
    assert event.address == "127.0.0.9"


def test_signing_out_is_written_down(clinic: Clinic) -> None:
    clinic.as_("nurse")
    watch = Watch(clinic)
    assert clinic.as_("nurse").post("/auth/sign-out").status_code == 204
    (event,) = watch.events()
    assert (event.type, event.actor.id) == (E.AUTH_SIGNOUT, "nurse")


def test_nothing_public_is_written_down(clinic: Clinic) -> None:
    watch = Watch(clinic)
    for path in ("/health", "/health/ready", "/fhir/metadata", "/nothing"):
        clinic.stranger.get(path)
    assert watch.events() == []


def test_no_entry_holds_what_stands_in_a_record(clinic: Clinic) -> None:
    watch = Watch(clinic)
    physician = clinic.as_("physician")
    physician.post("/fhir/Observation", pulse("anna", note=[{"text": "whispered"}]))
    physician.post("/fhir/Observation", pulse("anna", note=[{"text": "whispered"}], status="whispered"))
    physician.get("/fhir/Patient/anna")
    written = repr(watch.events())
    assert all(word not in written for word in ("whispered", "Ångström", "1980-02-29", "8867-4", "salus_"))


def test_the_log_is_whole_after_all_of_it(clinic: Clinic) -> None:
    for name, method, path, body, headers, *_ in CASES.values():
        clinic.as_(name).request(method, f"/fhir/{path}", json=body, headers=headers)
    keys = clinic.house.keyring.tenant("default")
    clinic.log()
    report = verify(clinic.house.db, keys, clinic.folder / "checkpoints")
    assert report.ok
    assert report.size == size(clinic.house.db, "default") > len(CASES)
