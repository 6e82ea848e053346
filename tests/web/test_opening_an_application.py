# SPDX-License-Identifier: Apache-2.0
"""Opening an application from within the record: with one patient, for whoever opened it."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.support.clinic import BASE, Clinic
from tests.support.smart import AUDIENCE, App, returned
from tests.web.visitor import Visitor

pytestmark = pytest.mark.usefixtures("assets")

START = "https://app.example/launch?v=2"


def _opened(visitor: Visitor, patient: str = "anna") -> dict[str, str]:
    page = visitor.submit(visitor.get("/launch/app"), "/launch/app", ("name", "ang"))
    answer = visitor.submit(page, "/launch/app", ("patient", patient))
    assert answer.status_code == 303
    address = answer.headers["location"]
    assert address.startswith(START + "&")
    return dict(parse_qsl(urlsplit(address).query))


def test_a_nurse_opens_an_application_with_the_patient(clinic: Clinic) -> None:
    app, visitor = App(clinic, launch_uri=START), Visitor(clinic, "nurse")
    assert "Growth chart" in visitor.get("/launch").text
    told = _opened(visitor)
    assert told["iss"] == AUDIENCE
    asked = app.parameters("launch openid patient/Patient.r", launch=told["launch"])
    path = app.authorize(asked).headers["location"].removeprefix(BASE)
    page = visitor.get(path)
    assert "Ångström" in page.text
    assert "Choose a patient" not in page.text
    answer = visitor.submit(page, path, ("scope", "patient/Patient.r"), ("answer", "allow"))
    tokens = app.redeem(returned(answer.headers["location"])["code"]).json()
    assert tokens["patient"] == "anna"
    assert app.get("/fhir/Patient/anna", tokens["access_token"]).status_code == 200


def test_attack_somebody_else_goes_on_with_it(clinic: Clinic) -> None:
    app = App(clinic, launch_uri=START)
    told = _opened(Visitor(clinic, "nurse"))
    asked = app.parameters("launch patient/Patient.r", launch=told["launch"])
    path = app.authorize(asked).headers["location"].removeprefix(BASE)
    other = Visitor(clinic, "physician").get(path)
    assert other.status_code == 403
    assert "Somebody else opened this application" in other.text
    assert "Ångström" not in other.text


def test_an_application_that_cannot_be_opened_is_not_there(clinic: Clinic) -> None:
    App(clinic)
    visitor = Visitor(clinic, "nurse")
    assert "Growth chart" not in visitor.get("/launch").text
    assert visitor.get("/launch/app").status_code == 404
    assert visitor.get("/launch/other").status_code == 404
