# SPDX-License-Identifier: Apache-2.0
"""Certificates of the local authority: renewed in time, never in place of somebody else's; the doctor's warnings."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from tests.support.clinic import Clinic

from salus.app.certificates import days_left, issue, make_authority
from salus.app.found import found
from salus.app.house import House
from salus.app.listening import tls_files, usable
from salus.app.renewing import renew, renew_and_note, renew_if_due
from salus.app.safety import could_be_better, unsafe
from salus.audit.event import EventType
from salus.cli import main
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A fresh data folder."""
    return found(tmp_path / "data")


def _age(settings: Settings, days: int = 0, authority: str = "tls") -> bytes:
    """Put a certificate in place that lasts so many days; returns it."""
    certificate, key = tls_files(settings)[:2]
    issue(settings.folder / authority, certificate, key, ["localhost"], days)
    return certificate.read_bytes()


def test_a_fresh_certificate_is_short_lived_and_left_alone(settings: Settings) -> None:
    certificate = tls_files(settings)[0]
    before = certificate.read_bytes()
    assert days_left(certificate) < 7
    assert renew_if_due(settings) == ""
    assert certificate.read_bytes() == before


def test_an_ended_certificate_is_renewed_with_the_days_that_are_set(settings: Settings) -> None:
    before = _age(settings)
    settings = msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, tls_days=3))
    assert any("expired" in concern.what for concern in unsafe(settings))
    assert renew_if_due(settings).startswith("certificate SHA-256 ")
    certificate = tls_files(settings)[0]
    assert certificate.read_bytes() != before
    assert days_left(certificate) == 2  # and some hours
    assert unsafe(settings) == []
    assert usable(settings)


def test_the_server_renews_by_itself_and_writes_it_down(settings: Settings) -> None:
    house = House(settings)
    try:
        _age(settings)
        asyncio.run(renew_and_note(house))
        asyncio.run(renew_and_note(house))  # nothing is due any more
    finally:
        house.close()
    listed = CliRunner().invoke(main, ["audit", "list", "--data-dir", str(settings.folder)]).output
    assert listed.count(EventType.SERVER_CERTIFICATE) == 1
    assert days_left(tls_files(settings)[0]) >= 6


def test_a_renewal_by_hand_is_written_down(settings: Settings) -> None:
    folder = str(settings.folder)
    done = CliRunner().invoke(main, ["certificate", "renew", "--data-dir", folder])
    assert done.exit_code == 0, done.output
    listed = CliRunner().invoke(main, ["audit", "list", "--data-dir", folder, "--json"]).output
    assert done.output.split(",")[0].split()[-1] in listed  # the fingerprint


def test_the_certificate_of_another_authority_is_never_replaced(settings: Settings) -> None:
    make_authority(settings.folder / "theirs")
    theirs = _age(settings, authority="theirs")
    assert renew_if_due(settings) == ""
    with pytest.raises(Problem) as refused:
        renew(settings)
    assert refused.value.kind is Kind.CONFLICT
    done = CliRunner().invoke(main, ["certificate", "renew", "--data-dir", str(settings.folder)])
    assert done.exit_code != 0
    assert tls_files(settings)[0].read_bytes() == theirs


def test_an_authority_of_the_same_name_is_another_authority(settings: Settings) -> None:
    """Names prove nothing: the signature is checked."""
    make_authority(settings.folder / "posing")
    _age(settings, authority="posing")
    with pytest.raises(Problem):
        renew(settings)


def test_without_the_key_of_the_authority_nothing_is_renewed(settings: Settings) -> None:
    _age(settings)
    (settings.folder / "tls" / "ca.key").unlink()
    with pytest.raises(Problem) as refused:
        renew(settings)
    assert refused.value.kind is Kind.UNAVAILABLE
    assert renew_if_due(settings) == ""


def test_the_doctor_warns_before_a_certificate_ends(settings: Settings) -> None:
    assert not any("certificate ends" in concern.what for concern in could_be_better(settings))
    _age(settings)
    assert any("renews it by itself" in concern.mend for concern in could_be_better(settings))
    (settings.folder / "tls" / "ca.key").rename(settings.folder / "kept.key")
    assert any("Put ca.key back" in concern.mend for concern in could_be_better(settings))
    make_authority(settings.folder / "theirs")
    _age(settings, authority="theirs")
    assert any("no restart is needed" in concern.mend for concern in could_be_better(settings))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tls_minimum": "1.1"}, "tls_minimum"),
        ({"tls_minimum": ""}, "tls_minimum"),
        ({"tls_days": 0}, "tls_days"),
        ({"tls_days": 9000}, "tls_days"),
        ({"client_ca": "nowhere.crt"}, "client_ca"),
        ({"client_ca": "policy.toml"}, "cannot be read"),
        ({"client_crl": "tls/ca.crt"}, "no authority of client certificates"),
    ],
)
def test_settings_that_would_weaken_tls_stop_the_start(
    settings: Settings, change: dict[str, str | int], words: str
) -> None:
    server = msgspec.convert({**msgspec.to_builtins(settings.server), **change}, type(settings.server))
    assert any(words in concern.what for concern in unsafe(msgspec.structs.replace(settings, server=server)))


def test_files_that_do_not_fit_together_are_not_usable(settings: Settings) -> None:
    certificate, key = tls_files(settings)[:2]
    assert usable(settings)
    kept = key.read_bytes()
    shutil.copy(settings.folder / "tls" / "ca.key", key)
    assert not usable(settings)
    key.write_bytes(kept[: len(kept) // 2])
    assert not usable(settings)
    key.write_bytes(kept)
    certificate.unlink()
    assert not usable(settings)


def test_a_worker_that_is_going_to_end_asks_clients_to_connect_anew(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    assert "connection" not in physician.get("/fhir/Patient").headers
    clinic.application.part()
    assert physician.get("/fhir/Patient").headers["connection"] == "close"
    assert physician.get("/fhir/Patient/nobody").headers["connection"] == "close"
