# SPDX-License-Identifier: Apache-2.0
"""The keyring: keys survive restarts, tenants are apart, tampering is noticed, processes agree."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from salus.crypto import wrapped_keys
from salus.crypto.envelope import SealingKey
from salus.crypto.keyring import Keyring, TenantKeys, create_keyring, open_keyring
from salus.crypto.kms.local import LocalKeyProvider
from salus.kernel.db import open_database
from salus.kernel.errors import Kind, Problem

AMARA = b"A" * 16
BELA = b"B" * 16
PLACE = ("test",)
PROVIDER = LocalKeyProvider(bytes(range(32)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keyring"


@pytest.fixture
def keyring(folder: Path) -> Iterator[Keyring]:
    with closing(create_keyring(folder, PROVIDER)) as keyring:
        keyring.create_tenant("default")
        yield keyring


@pytest.fixture
def keys(keyring: Keyring) -> TenantKeys:
    return keyring.tenant("default")


def same_key(one: SealingKey, other: SealingKey) -> bool:
    try:
        return other.open(one.seal(b"probe", PLACE), PLACE) == b"probe"
    except Problem:
        return False


def run_sql(keyring: Keyring, folder: Path, sql: str, *values: object) -> None:
    """What someone with the page key could do to the key table."""
    with closing(open_database(folder / "keys.db", keyring.page_key("keys"))) as db:
        db.execute(sql, values)


def test_keys_survive_a_restart(folder: Path) -> None:
    with closing(create_keyring(folder, PROVIDER)) as first:
        first.create_tenant("default")
        keys = first.tenant("default")
        blob = keys.record_key(AMARA, "Observation", create=True).seal(b"text", PLACE)
        common = keys.record_key(None, "Organization", create=True).seal(b"text", PLACE)
        audit = keys.audit_key(AMARA).seal(b"entry", PLACE)
        facts = (keys.derived("x"), keys.surrogate("patient", "1"), first.page_key("records"))
        tokens = keys.index().type_term("Patient")
    with closing(open_keyring(folder, PROVIDER)) as again:
        assert again.tenants() == ["default"]
        keys = again.tenant("default")
        assert keys.record_key(AMARA, "Condition").open(blob, PLACE) == b"text"
        assert keys.record_key(None, "Organization").open(common, PLACE) == b"text"
        assert keys.audit_key(AMARA).open(audit, PLACE) == b"entry"
        assert facts == (keys.derived("x"), keys.surrogate("patient", "1"), again.page_key("records"))
        assert tokens == keys.index().type_term("Patient")


def test_every_owner_type_purpose_and_database_has_its_own_key(keyring: Keyring, keys: TenantKeys) -> None:
    found = [
        keys.record_key(AMARA, "Observation", create=True),
        keys.record_key(BELA, "Observation", create=True),
        keys.record_key(None, "Observation", create=True),
        keys.record_key(None, "Organization", create=True),
        keys.audit_key(AMARA),
        keys.audit_key(BELA),
        keys.sealer("identity"),
        keys.sealer("audit-body"),
        SealingKey(keys.derived("identity")),
        SealingKey(keys.derived("wrap/patient/epoch-1")),
        SealingKey(keyring.page_key("keys")),
        SealingKey(keyring.page_key("records")),
    ]
    for number, one in enumerate(found):
        assert [same_key(one, other) for other in found] == [number == n for n in range(len(found))]


def test_the_types_of_one_patient_share_the_patients_key(keys: TenantKeys) -> None:
    one = keys.record_key(AMARA, "Observation", create=True)
    assert same_key(one, keys.record_key(AMARA, "Condition"))


def test_a_missing_key_means_erased(keys: TenantKeys) -> None:
    for owner in (AMARA, None):
        with pytest.raises(Problem) as caught:
            keys.record_key(owner, "Observation")
        assert caught.value.kind is Kind.GONE
        assert "erased" in caught.value.public


def test_patients_are_made_together_with_their_audit_keys(folder: Path, keyring: Keyring, keys: TenantKeys) -> None:
    owners = [number.to_bytes(16) for number in range(1_200)]
    keys.ensure_patients([*owners, *owners])
    before = keys.keys_of(owners)
    keys.ensure_patients(owners)
    assert set(before) == set(owners)
    with closing(open_database(folder / "keys.db", keyring.page_key("keys"))) as db:
        assert db.execute("select count(*) from patient_key").fetchall() == [(1_200,)]
        assert db.execute("select count(*) from audit_key").fetchall() == [(1_200,)]
    assert same_key(before[owners[7]], keys.record_key(owners[7], "Patient"))


def test_keys_of_leaves_out_the_erased(keys: TenantKeys) -> None:
    keys.ensure_patients([AMARA])
    assert set(keys.keys_of([AMARA, BELA, AMARA])) == {AMARA}
    assert keys.keys_of([]) == {}


def test_opened_keys_are_bounded(keys: TenantKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapped_keys, "_OPENED", 3)
    owners = [number.to_bytes(16) for number in range(10)]
    keys.ensure_patients(owners)
    first = keys.record_key(owners[0], "Patient")
    for owner in owners:
        keys.record_key(owner, "Patient")
        assert keys.record_key(owners[0], "Patient") is first  # in use, so it stays
    assert len(keys._opened[wrapped_keys.Purpose.PATIENT]) == 3


def test_threads_get_the_same_key(keys: TenantKeys) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: keys.record_key(AMARA, "Patient", create=True), range(64)))
    assert all(same_key(found[0], other) for other in found)


def test_surrogates_are_the_first_half_of_an_hmac(keys: TenantKeys) -> None:
    key = wrapped_keys.derive(keys._root, "surrogate")
    expected = hmac.digest(key, b"category|vital-signs", hashlib.sha256)[:16]
    assert keys.surrogate("category", "vital-signs") == expected
    assert keys.surrogate("author", "vital-signs") != expected


def test_a_large_key_ring_lists_its_tenants_sorted(keyring: Keyring) -> None:
    for name in ("north", "a", "0-clinic", "x" * 63):
        keyring.create_tenant(name)
    assert keyring.tenants() == ["0-clinic", "a", "default", "north", "x" * 63]


@pytest.mark.parametrize("name", ["", "-a", "A", "a b", "a/b", "..", "a" * 64, "é", "a\n", "a|b"])
def test_bad_tenant_names_are_refused(keyring: Keyring, name: str) -> None:
    with pytest.raises(Problem) as caught:
        keyring.create_tenant(name)
    assert caught.value.kind is Kind.INCORRECT


def test_a_tenant_is_made_once(keyring: Keyring, keys: TenantKeys) -> None:
    before = keys.derived("x")
    with pytest.raises(Problem) as caught:
        keyring.create_tenant("default")
    assert caught.value.kind is Kind.CONFLICT
    assert keyring.tenant("default").derived("x") == before


def test_an_unknown_tenant_is_not_found(keyring: Keyring) -> None:
    with pytest.raises(Problem) as caught:
        keyring.tenant("nowhere")
    assert caught.value.kind is Kind.NOT_FOUND


def test_tenants_share_nothing(keyring: Keyring, keys: TenantKeys) -> None:
    other = keyring.create_tenant("other")
    assert keys.surrogate("patient", "1") != other.surrogate("patient", "1")
    assert keys.derived("x") != other.derived("x")
    assert keys.index().type_term("Patient") != other.index().type_term("Patient")
    pairs = [(k.record_key(AMARA, "Patient", create=True), k.sealer("x")) for k in (keys, other)]
    assert not any(same_key(one, two) for one, two in zip(*pairs, strict=True))


def test_the_provider_is_asked_once_per_tenant(folder: Path, keyring: Keyring, keys: TenantKeys) -> None:
    asked = []

    class Counting(LocalKeyProvider):
        def unwrap(self, blob: bytes, context: object) -> bytes:
            asked.append(context)
            return super().unwrap(blob, context)  # type: ignore[arg-type]

    keys.ensure_patients([AMARA, BELA])
    with closing(open_keyring(folder, Counting(bytes(range(32))))) as again:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: again.tenant("default").record_key(AMARA, "Patient"), range(50)))
        again.tenant("default").record_key(BELA, "Patient")
    assert asked == [
        {"purpose": "page-key"},
        {"tenant": "default", "purpose": "tenant-root", "epoch": "1"},
        {"tenant": "default", "purpose": "tenant-wrapping", "epoch": "1"},
    ]


def test_a_keyring_is_never_made_over_another(folder: Path, keyring: Keyring) -> None:
    with pytest.raises(Problem) as caught:
        create_keyring(folder, PROVIDER)
    assert caught.value.kind is Kind.CONFLICT
    (folder / "page.key").unlink()
    with pytest.raises(Problem) as caught:
        create_keyring(folder, PROVIDER)
    assert caught.value.kind is Kind.CONFLICT


def test_no_key_is_on_the_disk_in_clear(folder: Path, keyring: Keyring, keys: TenantKeys) -> None:
    keys.ensure_patients([AMARA])
    keyring.close()
    secrets = (keys._root, bytes(keyring._page.value), keyring.page_key("keys"), keyring.page_key("records"))
    for path in folder.iterdir():
        content = path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
        assert not any(secret in content or secret.hex().encode() in content for secret in secrets)
        assert b"default" not in content
        assert AMARA not in content


# ── attacks ──────────────────────────────────────────────────────────────────────────────────────────────


def opened_anew(folder: Path) -> Keyring:
    return open_keyring(folder, PROVIDER)


def test_attack_give_one_patient_the_key_of_another(folder: Path, keyring: Keyring, keys: TenantKeys) -> None:
    keys.ensure_patients([AMARA, BELA])
    theft = "update patient_key set wrapped=(select wrapped from patient_key where owner=?) where owner=?"
    run_sql(keyring, folder, theft, AMARA, BELA)
    with closing(opened_anew(folder)) as again:
        again.tenant("default").record_key(AMARA, "Patient")
        with pytest.raises(Problem) as caught:
            again.tenant("default").record_key(BELA, "Patient")
        assert caught.value.kind is Kind.FAULT
        with pytest.raises(Problem):
            again.tenant("default").keys_of([BELA])


def test_attack_pass_the_audit_key_off_as_the_record_key(folder: Path, keyring: Keyring, keys: TenantKeys) -> None:
    keys.ensure_patients([AMARA])
    run_sql(keyring, folder, "update patient_key set wrapped=(select wrapped from audit_key)")
    with closing(opened_anew(folder)) as again, pytest.raises(Problem) as caught:
        again.tenant("default").record_key(AMARA, "Patient")
    assert caught.value.kind is Kind.FAULT


def test_attack_carry_a_key_into_another_tenant(folder: Path, keyring: Keyring, keys: TenantKeys) -> None:
    keys.ensure_patients([AMARA])
    keyring.create_tenant("other")
    run_sql(keyring, folder, "update patient_key set tenant='other'")
    with closing(opened_anew(folder)) as again, pytest.raises(Problem) as caught:
        again.tenant("other").record_key(AMARA, "Patient")
    assert caught.value.kind is Kind.FAULT


@pytest.mark.parametrize("table", ["patient_key", "audit_key", "type_key"])
def test_attack_change_the_epoch(folder: Path, keyring: Keyring, keys: TenantKeys, table: str) -> None:
    keys.ensure_patients([AMARA])
    keys.record_key(None, "Organization", create=True)
    run_sql(keyring, folder, f"update {table} set epoch=2")
    with closing(opened_anew(folder)) as again:
        tenant = again.tenant("default")
        ask = {
            "patient_key": lambda: tenant.record_key(AMARA, "Patient"),
            "audit_key": lambda: tenant.audit_key(AMARA),
            "type_key": lambda: tenant.record_key(None, "Organization"),
        }[table]
        with pytest.raises(Problem) as caught:
            ask()
        assert caught.value.kind is Kind.FAULT


def test_attack_swap_the_root_keys_of_two_tenants(folder: Path, keyring: Keyring, keys: TenantKeys) -> None:
    keyring.create_tenant("other")
    theft = "update tenant_key set wrapped=(select wrapped from tenant_key where tenant=?) where tenant=?"
    run_sql(keyring, folder, theft, "other", "default")
    with closing(opened_anew(folder)) as again, pytest.raises(Problem) as caught:
        again.tenant("default")
    assert caught.value.kind is Kind.UNAVAILABLE


def test_attack_open_with_another_provider(folder: Path, keyring: Keyring) -> None:
    with pytest.raises(Problem) as caught:
        open_keyring(folder, LocalKeyProvider(bytes(32)))
    assert caught.value.kind is Kind.UNAVAILABLE


def test_attack_page_key_of_another_installation(tmp_path: Path, folder: Path, keyring: Keyring) -> None:
    keyring.close()
    create_keyring(tmp_path / "other", PROVIDER).close()
    (folder / "page.key").write_bytes((tmp_path / "other" / "page.key").read_bytes())
    with pytest.raises(Problem) as caught:
        open_keyring(folder, PROVIDER)
    assert caught.value.kind is Kind.UNAVAILABLE


def test_attack_remove_the_key_table(folder: Path, keyring: Keyring) -> None:
    keyring.close()
    (folder / "keys.db").unlink()
    with pytest.raises(Problem) as caught:
        open_keyring(folder, PROVIDER)
    assert caught.value.kind is Kind.UNAVAILABLE
    assert not (folder / "keys.db").exists()


def test_attack_page_key_readable_by_others(folder: Path, keyring: Keyring) -> None:
    (folder / "page.key").chmod(0o644)
    with pytest.raises(Problem) as caught:
        open_keyring(folder, PROVIDER)
    assert caught.value.kind is Kind.UNAVAILABLE
    assert "chmod 600 page.key" in caught.value.detail


RACER = """
import sys
from pathlib import Path
from salus.crypto.keyring import open_keyring
from salus.crypto.kms.local import LocalKeyProvider
keyring = open_keyring(Path(sys.argv[1]), LocalKeyProvider(bytes(range(32))))
keys = keyring.tenant("default")
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
for number in range(40):
    owner = number.to_bytes(16)
    sealed = keys.record_key(owner, "Patient", create=True).seal(b"text", ("race",))
    audit = keys.audit_key(owner).seal(b"text", ("race",))
    shared = keys.record_key(None, f"Type{number}", create=True).seal(b"text", ("race",))
    sys.stdout.write(f"{sealed.hex()} {audit.hex()} {shared.hex()}\\n")
keyring.close()
"""


def test_processes_that_make_the_same_keys_at_once_agree(folder: Path, keyring: Keyring, keys: TenantKeys) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        lines = racer.communicate()[0].splitlines()
        assert racer.returncode == 0
        assert len(lines) == 40
        for number, line in enumerate(lines):
            owner = number.to_bytes(16)
            found = (
                keys.record_key(owner, "Patient"),
                keys.audit_key(owner),
                keys.record_key(None, f"Type{number}"),
            )
            for key, blob in zip(found, line.split(), strict=True):
                assert key.open(bytes.fromhex(blob), ("race",)) == b"text"
