# SPDX-License-Identifier: Apache-2.0
"""Pages for whoever comes, and what goes with every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from salus.web.assets import Assets
from tests.support.clinic import Clinic

pytestmark = pytest.mark.usefixtures("assets")

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_the_front_page_says_where_to_sign_in(clinic: Clinic) -> None:
    answer = clinic.run(clinic.http.get("/", headers=HTML))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert 'href="/sign-in"' in answer.text
    assert '<html lang="en">' in answer.text


def test_every_page_carries_a_policy_without_exceptions(clinic: Clinic) -> None:
    seen = set()
    for path in ("/", "/no-such-page"):
        answer = clinic.run(clinic.http.get(path, headers=HTML))
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        nonce = re.fullmatch(r"'self' 'nonce-([A-Za-z0-9_-]{22,})'", policy.pop("script-src"))
        assert nonce
        seen.add(nonce[1])
        assert policy.pop("default-src") == "'none'"
        assert policy.pop("frame-ancestors") == "'none'"
        assert policy.pop("base-uri") == "'none'"
        assert set(policy.values()) == {"'self'"}
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["strict-transport-security"]
        assert [name for name, _ in answer.headers.multi_items()].count("content-security-policy") == 1
        for script in re.findall(r"<script[^>]*>([^<]*)", answer.text):
            assert script == ""
        assert not re.search(r"\s(style|on[a-z]+)=", answer.text)
    assert len(seen) == 2


def test_whatever_a_page_names_is_there_and_may_be_kept(clinic: Clinic) -> None:
    page = clinic.run(clinic.http.get("/", headers=HTML)).text
    named = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(named) >= 4
    for address in named:
        answer = clinic.run(clinic.http.get(address))
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]
        if address.endswith(".css"):
            fonts = re.findall(r"url\(\"?([^)\"]+)", answer.text)
            assert fonts
            for font in fonts:
                assert clinic.run(clinic.http.get(f"/static/{font}")).status_code == 200, font


def test_static_files_are_those_of_the_manifest_and_no_others(clinic: Clinic) -> None:
    for name in ("manifest.json", "THIRD_PARTY.md", "..%2fassets.py", "%2e%2e", "salus.css", ""):
        assert clinic.run(clinic.http.get(f"/static/{name}")).status_code == 404, name


def test_a_page_that_there_is_not_is_told_to_a_person_and_to_a_program(clinic: Clinic) -> None:
    told = clinic.run(clinic.http.get("/no-such-page", headers=HTML))
    assert told.status_code == 404
    assert told.headers["x-request-id"] in told.text
    program = clinic.run(clinic.http.get("/no-such-page", headers={"accept": "application/json"}))
    assert program.json()["resourceType"] == "OperationOutcome"
    fhir = clinic.run(clinic.http.get("/fhir/Nonsense/1", headers=HTML))
    assert "html" not in fhir.headers["content-type"]


def test_a_tenant_that_there_is_not_has_no_pages(clinic: Clinic) -> None:
    for path in ("/t/none", "/t/none/", "/t/<b>x</b>/"):
        answer = clinic.run(clinic.http.get(path, headers=HTML))
        assert answer.status_code == 404
        assert "<b>x" not in answer.text


def test_the_door_cookie_is_given_once(clinic: Clinic) -> None:
    answer = clinic.run(clinic.http.get("/", headers=HTML))
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-salus-door.default=")
    for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    again = clinic.run(clinic.http.get("/", headers={**HTML, "cookie": cookie.partition(";")[0]}))
    assert "set-cookie" not in again.headers


def test_without_assets_pages_say_so_and_the_rest_works(clinic: Clinic, tmp_path: Path) -> None:
    bare = Assets(tmp_path)
    assert not bare.built
    clinic.application._pages.assets = bare  # type: ignore[union-attr]
    clinic.application._pages.drawing.__init__(bare)  # type: ignore[union-attr,misc]
    answer = clinic.run(clinic.http.get("/", headers=HTML))
    assert answer.status_code == 503
    assert "not built" in answer.text
    assert clinic.as_("service").get("/fhir/Patient/anna").status_code == 200
