# SPDX-License-Identifier: Apache-2.0
"""Keys wrapped by AWS KMS, through boto3.

The context is the EncryptionContext of each call, which AWS authenticates and writes to CloudTrail. Credentials come
from a shared credentials file, or from where boto3 finds them by itself (environment, role of the instance or pod).

AWS keeps every former version of a key and cannot destroy a single one: only the whole key, after 7 to 30 days.
https://docs.aws.amazon.com/kms/latest/APIReference/
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salus.crypto.keyfile import read_private
from salus.crypto.kms.provider import Capabilities, asking, cannot, library, probe
from salus.crypto.wiping import Secret, wipe

_CONNECT_SECONDS = 1.0
_ATTEMPTS = 2


class AwsKms:
    """A symmetric key of AWS KMS. Safe to share between threads.

    Args:
        key: id, ARN or alias of the key.
        region: e.g. `eu-central-1`.
        endpoint: another address than the region's own, e.g. of a VPC endpoint; empty for none.
        ca: path of the certificate that the endpoint is checked with; empty for boto3's own.
        credentials: path of a shared credentials file; empty to let boto3 find them.
        signing: id, ARN or alias of an ECC_NIST_P256 key for signing; empty for none.
        seconds: longest wait for each answer.
    """

    name = "aws"

    def __init__(
        self,
        key: str,
        *,
        region: str,
        endpoint: str = "",
        ca: str = "",
        credentials: str = "",
        signing: str = "",
        seconds: float,
    ) -> None:
        boto3 = library("boto3", "aws")
        config = library("botocore.config", "aws").Config(
            connect_timeout=min(_CONNECT_SECONDS, seconds),
            read_timeout=seconds,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        )
        session = library("botocore.session", "aws").Session()
        if credentials:
            wipe(read_private(Path(credentials)))  # refuses a file that others can read
            session.set_config_variable("credentials_file", credentials)
        self._kms: Any = boto3.Session(botocore_session=session).client(
            "kms", region_name=region, endpoint_url=endpoint or None, verify=ca or None, config=config
        )
        self._key = key
        self._signing = signing
        self.capabilities = Capabilities(
            rewraps_inside=True,
            destroys=False,
            destroyed="AWS destroys whole keys only, 7 to 30 days after it was asked",
            signature="ECDSA-P256-SHA256" if signing else "",
        )

    def wrap(self, key: Secret, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.wrap`."""
        with asking(self.name, _code):
            answer = self._kms.encrypt(KeyId=self._key, Plaintext=bytes(key), EncryptionContext=dict(context))
            return bytes(answer["CiphertextBlob"])

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytearray:
        """See `KeyProvider.unwrap`; no other key than ours is accepted."""
        with asking(self.name, _code):
            answer = self._kms.decrypt(KeyId=self._key, CiphertextBlob=blob, EncryptionContext=dict(context))
            plain: bytes = answer.pop("Plaintext")
        key = bytearray(plain)
        wipe(plain)
        return key

    def rewrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyProvider.rewrap`."""
        with asking(self.name, _code):
            answer = self._kms.re_encrypt(
                CiphertextBlob=blob,
                SourceKeyId=self._key,
                SourceEncryptionContext=dict(context),
                DestinationKeyId=self._key,
                DestinationEncryptionContext=dict(context),
            )
            return bytes(answer["CiphertextBlob"])

    def rotate(self) -> str:
        """See `KeyProvider.rotate`; AWS gives its versions no names, so this is the key's."""
        with asking(self.name, _code):
            return str(self._kms.rotate_key_on_demand(KeyId=self._key)["KeyId"])

    def destroy_version(self, version: str) -> str:
        """AWS cannot; raises INCORRECT."""
        raise cannot(
            "AWS KMS cannot destroy one version of a key. Make a new key, rewrap to it, and delete the old one."
        )

    def sign(self, message: bytes) -> bytes:
        """See `KeyProvider.sign`: ECDSA over P-256 with SHA-256, DER."""
        self._needs_signing()
        with asking(self.name, _code):
            answer = self._kms.sign(
                KeyId=self._signing, Message=message, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
            )
            return bytes(answer["Signature"])

    def verification_key(self) -> bytes:
        """See `KeyProvider.verification_key`."""
        self._needs_signing()
        with asking(self.name, _code):
            return bytes(self._kms.get_public_key(KeyId=self._signing)["PublicKey"])

    def health(self) -> None:
        """See `KeyProvider.health`."""
        probe(self)

    def close(self) -> None:
        """See `KeyProvider.close`."""
        self._kms.close()

    def _needs_signing(self) -> None:
        if not self._signing:
            raise cannot("[keys] signing_key is not set, so this key provider cannot sign.")


def _code(error: Any) -> object:
    return error.response["Error"]["Code"]
