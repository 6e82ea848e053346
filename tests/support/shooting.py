# SPDX-License-Identifier: Apache-2.0
"""Shooting at a clinic: what is sent, past any client that would tidy it up, and what every answer must be."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from hypothesis import settings
from hypothesis import strategies as st

from tests.support.clinic import PEOPLE, Clinic
from tests.support.outcomes import assert_outcome
from tests.support.raw import send_raw

QUICK = settings(max_examples=150)


people = st.sampled_from(sorted(PEOPLE))


noise = st.text(max_size=12)


def quoted(text: str) -> str:
    """Percent-encode what cannot stand in an address; lone surrogates become what a broken client sends."""
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def shoot(target: Clinic, name: str, method: str, path: str, query: str = "", **more: Any) -> None:
    """Send it past any client that would tidy it up, and see that the answer is in order."""
    headers = {"authorization": f"Bearer {target.token(name)}"} | more.get("headers", {})
    sent = [(key.encode(), value.encode("latin-1")) for key, value in headers.items()]
    answer = target.run(
        send_raw(target.application, method, unquote(path), query.encode("ascii"), sent, more.get("content", b""))
    )
    assert answer.status_code < 500, (method, path, query, more, answer.text)
    if answer.status_code >= 400:
        assert_outcome(answer)
