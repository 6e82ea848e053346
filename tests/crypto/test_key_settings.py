# SPDX-License-Identifier: Apache-2.0
"""The section [keys]: what is unsafe or missing is told before anything starts, and a missing library with its cure."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from salus.app.found import found, keys_from
from salus.app.providers import PROVIDERS, REQUIRED, provider_of
from salus.app.safety_keys import keys_could_be_better, keys_unsafe
from salus.crypto.kms.local import LocalKeyProvider
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Keys, Settings, load

COMPLETE: dict[str, dict[str, Any]] = {
    "openbao": {"address": "https://bao.example.org:8200", "key": "salus", "credential_file": "token"},
    "vault": {"address": "https://vault.example.org:8200", "key": "salus", "credential_file": "token"},
    "aws": {"key": "alias/salus", "region": "eu-central-1"},
    "azure": {"address": "https://clinic.vault.azure.net", "key": "salus"},
    "gcp": {"key": "projects/p/locations/l/keyRings/r/cryptoKeys/k"},
    "pkcs11": {"module": "module.so", "token_label": "clinic", "key": "salus", "credential_file": "pin"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    tmp_path.chmod(0o700)
    LocalKeyProvider.create(tmp_path / "keys" / "root.key", None)
    for name in ("token", "pin", "module.so", "ca.crt", "client.crt", "client.key"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o600)
    return tmp_path


def concerns(folder: Path, **keys: Any) -> list[str]:
    return [concern.what for concern in keys_unsafe(Settings(folder=folder, keys=Keys(**keys)))]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_complete_settings_of_a_provider_are_safe(folder: Path, provider: str) -> None:
    assert concerns(folder, provider=provider, **COMPLETE[provider]) == []
    settings = Settings(folder=folder, keys=Keys(provider=provider, **COMPLETE[provider]))
    assert list(keys_could_be_better(settings)) == []


@pytest.mark.parametrize(("provider", "name"), [(p, name) for p, names in REQUIRED.items() for name in names])
def test_a_missing_setting_is_named(folder: Path, provider: str, name: str) -> None:
    keys = {key: value for key, value in COMPLETE[provider].items() if key != name}
    assert any(name in said for said in concerns(folder, provider=provider, **keys))
    with pytest.raises(Problem) as caught:
        provider_of(Settings(folder=folder, keys=Keys(provider=provider, **keys)))
    assert caught.value.kind is Kind.INCORRECT
    assert name in caught.value.public


@pytest.mark.parametrize(
    "keys",
    [
        {"provider": "paper"},
        {"root_key_file": "nowhere.key"},
        {"soft_seconds": 0},
        {"soft_seconds": 100, "hard_seconds": 99},
        {"hard_seconds": 100_000},
        {"timeout_seconds": 0.0},
        {"timeout_seconds": -1.0},
        {"timeout_seconds": 31.0},
        {"provider": "openbao", **COMPLETE["openbao"], "address": "http://bao.example.org:8200"},
        {"provider": "aws", **COMPLETE["aws"], "address": "http://127.0.0.1:4566"},
        {"provider": "openbao", **COMPLETE["openbao"], "credential_file": "absent"},
        {"provider": "openbao", **COMPLETE["openbao"], "ca_file": "absent"},
        {"provider": "openbao", **COMPLETE["openbao"], "client_certificate": "client.crt"},
        {"provider": "openbao", **COMPLETE["openbao"], "client_key": "client.key"},
        {"provider": "pkcs11", **COMPLETE["pkcs11"], "module": "absent.so"},
    ],
)
def test_what_is_unsafe_stops_the_start(folder: Path, keys: dict[str, Any]) -> None:
    assert concerns(folder, **keys)


@pytest.mark.parametrize(("name", "setting"), [("token", "credential_file"), ("client.key", "client_key")])
def test_a_secret_that_others_can_read_stops_the_start(folder: Path, name: str, setting: str) -> None:
    (folder / name).chmod(0o644)
    keys = {**COMPLETE["openbao"], "client_certificate": "client.crt", "client_key": "client.key"}
    said = concerns(folder, provider="openbao", **keys)
    assert said == [f"Others may read the file of [keys] {setting}."]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_missing_library_is_told_with_its_cure(folder: Path, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name.split(".", maxsplit=1)[0] in {"hvac", "boto3", "botocore", "azure", "google", "pkcs11"}:
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(Problem) as caught:
        provider_of(Settings(folder=folder, keys=Keys(provider=provider, **COMPLETE[provider])))
    assert caught.value.kind is Kind.INCORRECT
    assert "pip install 'salus[" in caught.value.public


def test_no_provider_library_is_imported_for_a_local_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = builtins.__import__

    def noting(name: str, *rest: Any, **more: Any) -> Any:
        asked.append(name.split(".", maxsplit=1)[0])
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", noting)
    provider_of(Settings(folder=folder)).close()
    assert not {"hvac", "boto3", "azure", "google", "pkcs11"} & set(asked)


def test_a_section_from_a_file_stands_in_the_settings(tmp_path: Path) -> None:
    section = tmp_path / "keys.toml"
    section.write_text('[keys]\nroot_key_file = "apart/a \\"quoted\\" name.key"\nsoft_seconds = 60\n')
    found(tmp_path / "data", keys=keys_from(section))
    kept = load(tmp_path / "data").keys
    assert kept == msgspec.structs.replace(Keys(), root_key_file='apart/a "quoted" name.key', soft_seconds=60)


@pytest.mark.parametrize("text", [None, "", "x = 1", "[keys]\nnot_a_setting = 1", "[keys]\nsoft_seconds = 'x'", "[["])
def test_a_file_without_a_valid_section_is_refused(tmp_path: Path, text: str | None) -> None:
    section = tmp_path / "keys.toml"
    if text is not None:
        section.write_text(text)
    with pytest.raises(Problem) as caught:
        keys_from(section)
    assert caught.value.kind is Kind.INCORRECT
