# SPDX-License-Identifier: Apache-2.0
"""Forms and addresses that somebody else makes a browser send."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.http.message import Request
from salus.http.routes import Router
from salus.kernel.errors import Kind, Problem
from salus.web import cookies, forms
from salus.web.places import local_path
from tests.support.route_table import every_route

BASE = "https://records.example"
SECRET = "k" * 43
PATH = "/account/password"


def request(
    fields: dict[str, str] | None = None, *, path: str = PATH, headers: dict[str, str] | None = None, **more: str
) -> Request:
    body = urlencode(fields or {}).encode()
    known = {
        "host": "records.example",
        "content-type": "application/x-www-form-urlencoded",
        "sec-fetch-site": "same-origin",
        "origin": BASE,
        **(headers or {}),
    }
    scope = {
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in known.items() if value],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive, 1_000_000)


def read(sent: Request, secret: str = SECRET) -> forms.Form:
    return asyncio.run(forms.receive(sent, secret, BASE))


def test_our_own_form_is_read() -> None:
    assert read(request({"csrf": forms.token(SECRET, PATH), "new": "a b"})) == {"new": "a b"}


@pytest.mark.parametrize(
    ("secret", "address"),
    [("x" * 43, PATH), (SECRET, "/account"), (SECRET, f"/t/other{PATH}"), ("", PATH)],
    ids=["of another session", "of another form", "of another tenant", "without a secret"],
)
def test_a_token_from_elsewhere_is_refused(secret: str, address: str) -> None:
    with pytest.raises(Problem) as refused:
        read(request({"csrf": forms.token(secret, address)}))
    assert refused.value.kind is Kind.FORBIDDEN


def test_without_a_cookie_no_token_fits() -> None:
    with pytest.raises(Problem):
        read(request({"csrf": forms.token("", PATH)}), secret="")


@pytest.mark.parametrize("sent", ["", "é", "A" * 43, "\0"])
def test_a_made_up_token_is_refused(sent: str) -> None:
    with pytest.raises(Problem) as refused:
        read(request({"csrf": sent}))
    assert refused.value.kind is Kind.FORBIDDEN


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "", "origin": "https://evil.example"},
        {"sec-fetch-site": "", "origin": "null"},
        {"sec-fetch-site": "", "origin": "http://records.example"},
        {"sec-fetch-site": "", "origin": ""},
        {"origin": "https://evil.example"},
    ],
)
def test_a_right_token_from_another_origin_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Problem) as refused:
        read(request({"csrf": forms.token(SECRET, PATH)}, headers=headers))
    assert refused.value.kind is Kind.FORBIDDEN


@pytest.mark.parametrize("type_", ["text/plain", "multipart/form-data; boundary=x", "application/json"])
def test_only_what_forms_send_is_read(type_: str) -> None:
    with pytest.raises(Problem) as refused:
        read(request({"csrf": forms.token(SECRET, PATH)}, headers={"content-type": type_}))
    assert refused.value.kind is Kind.FORMAT


def test_a_form_has_a_largest_size() -> None:
    with pytest.raises(Problem) as refused:
        read(request({"csrf": forms.token(SECRET, PATH), "x": "y" * 70_000}))
    assert refused.value.kind is Kind.TOO_LARGE


@pytest.mark.parametrize("path", ["/", "/account", "/account/factors?x=1", "/authorize/0198-ab?next=%2Fa", "/?a=b/c"])
def test_pages_of_this_tenant_may_be_gone_to(path: str) -> None:
    assert local_path(path, "default") == path
    assert local_path(f"/t/clinic{path}", "clinic") == f"/t/clinic{path}"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "account",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/account\r\nset-cookie: a=b",
        "/\t/evil.example",
        "/account#x",
        "/../t/other",
        "/account/..//evil.example",
        "/%2e%2e/x",
        "/t/other/account",
        "/" + "a" * 3000,
        " /account",
        "/ü",
    ],
)
def test_open_redirects(address: str) -> None:
    assert local_path(address, "default") == ""


@pytest.mark.parametrize("address", ["/account", "/t/other/account", "/t/clinicx", "/t/clinic/../other", "/t"])
def test_no_way_to_another_tenant(address: str) -> None:
    assert local_path(address, "clinic") == ""


@given(st.text(alphabet="/\\.:@?#%aé \t\n2e", max_size=12))
def test_whatever_may_be_gone_to_stays_on_this_host(address: str) -> None:
    """As a browser reads it: one slash, no backslash, no control character, nothing that climbs."""
    if local_path(address, "default"):
        assert address.startswith("/")
        assert address[1:2] not in {"/", "\\"}
        assert address.isprintable()
        assert "\\" not in address
        assert "/.." not in address.partition("?")[0]


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"{cookies.session_name('other')}={SECRET}",
        f"{cookies.session_name('default')}={SECRET}; {cookies.session_name('default')}={'x' * 43}",
        f"{cookies.session_name('default')}=short",
        f"{cookies.session_name('default')}=" + "ü" * 43,
        f"salus.default={SECRET}",
    ],
)
def test_a_cookie_that_is_not_ours_is_not_read(header: str) -> None:
    sent = request(headers={"cookie": header})
    assert cookies.read(sent, cookies.session_name("default")) == ""


def test_cookies_that_come_in_parts_are_all_read() -> None:
    """HTTP/2 sends each cookie as a header of its own (RFC 9113 section 8.2.3)."""
    names = [cookies.session_name("default"), cookies.door_name("default"), cookies.ceremony_name("default")]
    values = [letter * 43 for letter in "abc"]
    headers = [(b"cookie", f"{name}={value}".encode()) for name, value in zip(names, values, strict=True)]
    sent = Request({"method": "GET", "path": "/", "query_string": b"", "headers": headers}, _nothing, 1)
    assert [cookies.read(sent, name) for name in names] == values


async def _nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def test_our_cookie_is_read() -> None:
    sent = request(headers={"cookie": f"a=b; {cookies.session_name('default')}={SECRET}; c=d"})
    assert cookies.read(sent, cookies.session_name("default")) == SECRET


def test_random_names_begin_with_whatever_they_like() -> None:
    """Only below `fhir` an underscore tells a special page from an id."""
    router = Router(every_route())
    assert router.find("GET", ["authorize", "_abc"])[1] == {"id": "_abc"}
    with pytest.raises(Problem):
        router.find("GET", ["fhir", "Patient", "_abc"])
