# SPDX-License-Identifier: Apache-2.0
"""One-time codes: the vectors of RFC 6238, the window, and that a code works once."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.identity.factors.totp import accepted_step, enrolment_uri, new_secret

# RFC 6238 appendix B, SHA-1; six digits are the last six of the eight.
RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_rfc_6238_vectors(seconds: int, code: str) -> None:
    assert accepted_step(RFC_SECRET, code[-6:], seconds * 1000, 0) == seconds // 30


def test_a_code_is_accepted_one_step_early_and_one_late_and_no_further() -> None:
    code, present = "081804", 1111111109 // 30
    for offset, accepted in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        found = accepted_step(RFC_SECRET, code, (present + offset) * 30_000, 0)
        assert found == (present if accepted else None)


def test_totp_replay_is_refused() -> None:
    code, now = "081804", 1111111109 * 1000
    step = accepted_step(RFC_SECRET, code, now, 0)
    assert step is not None
    assert accepted_step(RFC_SECRET, code, now, step) is None
    assert accepted_step(RFC_SECRET, code, now, step + 1) is None
    assert accepted_step(RFC_SECRET, code, now, step - 1) == step


def test_a_code_may_be_typed_with_a_blank() -> None:
    assert accepted_step(RFC_SECRET, "081 804", 1111111109 * 1000, 0)


@given(st.text(max_size=12))
def test_any_other_text_is_no_code(text: str) -> None:
    if text.replace(" ", "") not in {"081804", "050471"}:
        found = accepted_step(RFC_SECRET, text, 1111111109 * 1000, 1111111109 // 30)
        assert found is None or text.replace(" ", "").isdigit()


def test_a_secret_has_160_bits_and_is_never_the_same() -> None:
    secrets = {new_secret() for _ in range(20)}
    assert len(secrets) == 20
    assert {len(base64.b32decode(secret)) for secret in secrets} == {20}


def test_the_enrolment_address_names_clinic_and_account() -> None:
    uri = enrolment_uri(RFC_SECRET, "default", "dr.amara")
    assert uri.startswith("otpauth://totp/Salus%20default:dr.amara?secret=" + RFC_SECRET)
