# SPDX-License-Identifier: Apache-2.0
"""A process that uses keys and lets go of them, for `test_memory`, which looks into its memory from outside.

usage: releasing.py FOLDER close|limit
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes, hmac

from salus.crypto.derivation import derive
from salus.crypto.envelope import SealingKey
from salus.crypto.keeper import Keeper
from salus.crypto.keyring import open_keyring
from salus.crypto.kms.local import LocalKeyProvider
from salus.crypto.leases import Limits
from salus.crypto.wiping import random_key

OWNERS = [number.to_bytes(16) for number in range(1, 9)]
_PLACE = ("test",)


def told(word: str) -> None:
    """Tell the other process, and wait for it."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


class _Elapsed:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def main(folder: Path, how: str) -> None:
    """Use every kind of key, tell, let go, tell."""
    elapsed = _Elapsed()
    provider = LocalKeyProvider.open(folder / "root.key", None)
    keyring = open_keyring(folder / "keys", provider, Limits(10, 20), elapsed)
    keys = keyring.tenant("default")
    for owner in OWNERS:
        blob = keys.record_key(owner, "Patient").seal(b"text", _PLACE)
        assert keys.record_key(owner, "Patient").open(blob, _PLACE) == b"text"
        keys.audit_key(owner).seal(b"text", _PLACE)
    for purpose in ("identity", "audit-body"):
        keys.sealer(purpose).seal(b"text", _PLACE)
    keys.index().type_term("Patient")
    keys.surrogate("patient", "1")
    keys.mac("identity-token").copy().finalize()
    told("held")
    if how == "limit":
        provider.close()  # the key service is gone
        keyring._keeper = Keeper(keyring, elapsed, lambda function: function())
        elapsed.seconds = 20.0
        keyring.let_go()
    else:
        keyring.close()
        provider.close()
    del keys
    gc.collect()
    _go_on()
    told("released")


def _go_on() -> None:
    """Other work with other keys, as a server goes on to do: it writes over what calls left on the stack of C."""
    for label in ("one", "two", "three"):
        key = SealingKey(derive(random_key(), label))
        assert key.open(key.seal(b"text", _PLACE), _PLACE) == b"text"
        mac = hmac.HMAC(derive(random_key(), label), hashes.SHA256())
        mac.copy().finalize()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
