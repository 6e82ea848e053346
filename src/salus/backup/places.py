# SPDX-License-Identifier: Apache-2.0
"""Where backups lie: a folder, or a bucket that speaks S3.

An object is written whole or not at all, and never over another, so credentials that may only add are enough.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from salus.kernel.errors import Kind, Problem


class Place(Protocol):
    """Objects by name; names are ours and hold letters, digits, `.`, `-` and `/` only."""

    def put(self, name: str, data: bytes) -> bool:
        """Write a new object, durably; false when the name is taken, and nothing was written."""
        ...

    def get(self, name: str) -> bytes | None:
        """Read an object; None when it is not there."""
        ...

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Names and sizes of all objects whose name begins so, in any order."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object; only the backups of keys are ever removed."""
        ...


class Folder:
    """A folder, best on another machine.

    Args:
        root: made with mode 0700 when it is missing.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, data: bytes) -> bool:
        """See `Place.put`."""
        path = self._root / name
        draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with draft.open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)  # unlike rename, it fails when the name is taken
            except FileExistsError:
                return False
            finally:
                draft.unlink()
            handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise _away(error) from None
        return True

    def get(self, name: str) -> bytes | None:
        """See `Place.get`."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _away(error) from None

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Place.sizes`."""
        for path in (self._root / prefix).rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(self._root).as_posix(), path.stat().st_size

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        try:
            (self._root / name).unlink(missing_ok=True)
        except OSError as error:
            raise _away(error) from None


class Bucket:
    """A bucket of S3 or of anything that speaks its protocol.

    Args:
        client: an S3 client of boto3.
        bucket: its name.
        prefix: what names begin with; empty, or ending in `/`.
    """

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._s3 = client
        self._bucket = bucket
        self._prefix = prefix

    def put(self, name: str, data: bytes) -> bool:
        """See `Place.put`; `If-None-Match: *` keeps what is there."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._s3.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=data, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"].get("Code") in {"PreconditionFailed", "ConditionalRequestConflict"}:
                return False
            raise _away(error) from None
        except BotoCoreError as error:
            raise _away(error) from None
        return True

    def get(self, name: str) -> bytes | None:
        """See `Place.get`."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name)
            return bytes(answer["Body"].read())
        except ClientError as error:
            if error.response["Error"].get("Code") in {"NoSuchKey", "404"}:
                return None
            raise _away(error) from None
        except BotoCoreError as error:
            raise _away(error) from None

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Place.sizes`."""
        from botocore.exceptions import BotoCoreError, ClientError

        pages = self._s3.get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                for each in page.get("Contents", ()):
                    yield each["Key"].removeprefix(self._prefix), each["Size"]
        except (ClientError, BotoCoreError) as error:
            raise _away(error) from None

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._s3.delete_object(Bucket=self._bucket, Key=self._prefix + name)
        except (ClientError, BotoCoreError) as error:
            raise _away(error) from None


def _away(error: Exception) -> Problem:
    code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
    return Problem(
        Kind.UNAVAILABLE, "The place of the backups cannot be used.", f"{type(error).__name__} {code}".strip()
    )
