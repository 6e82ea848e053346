# SPDX-License-Identifier: Apache-2.0
"""Small private files that hold key material: written whole, read with suspicion.

- A file appears complete or not at all, with mode 0600, and replaces another only where that is asked for.
- A file is only read when it is a regular file of ours (or root's) that group and others cannot read, in a
  folder that they cannot write; otherwise someone else may know the key or have put the file there. Checks
  are made on the open descriptor, so that a swap between check and use changes nothing. A symbolic link is
  never followed.

Messages name the file, not its folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from salus.kernel.errors import Kind, Problem

_MAX_SIZE = 65_536
_GROUP_OR_OTHERS = 0o077
_WRITABLE_BY_OTHERS = 0o022


def private_folder(folder: Path) -> None:
    """Make a folder with mode 0700, or check one that is there.

    Raises:
        Problem: UNAVAILABLE when group or others may write to the folder, or it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _problem(f"{folder.name}: the folder cannot be made ({_name(error)})") from None
    _check_folder(folder)


def write_new(path: Path, data: bytes) -> None:
    """Write a private file that must not exist yet; on return it is on the disk.

    Raises:
        Problem: CONFLICT when something with this name exists, a dangling link included; UNAVAILABLE when
            the file cannot be written or others may write to its folder.
    """
    _written(path, data, os.link)  # unlike rename, a link fails when the name is taken


def replace_private(path: Path, data: bytes) -> None:
    """Write a private file in place of one that is there; a crash leaves the former or the new one, whole.

    Raises:
        Problem: UNAVAILABLE when it cannot be written, others may write to its folder, or what is there is not a
            private file of ours.
    """
    read_private(path)
    _written(path, data, os.replace)


def _written(path: Path, data: bytes, place: Callable[[Path, Path], None]) -> None:
    _check_folder(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            place(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError:
        raise Problem(
            Kind.CONFLICT, "A key file is already there.", f"{path.name} exists and is never overwritten"
        ) from None
    except OSError as error:
        raise _problem(f"{path.name}: cannot be written ({_name(error)})") from None


def read_private(path: Path) -> bytes:
    """Read a private file.

    Raises:
        Problem: UNAVAILABLE when it is missing, not a regular file, someone else's, readable by group or
            others (the detail says how to mend it), too large, or in a folder that others may write to.
    """
    try:
        # O_NONBLOCK: opening a pipe that someone put there must not hang.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason = "is a symbolic link" if error.errno == errno.ELOOP else f"cannot be opened ({_name(error)})"
        raise _problem(f"{path.name}: {reason}") from None
    try:
        _check_file(os.fstat(handle), path.name)
        _check_folder(path.parent)
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(_MAX_SIZE + 1)
    finally:
        os.close(handle)
    if len(data) > _MAX_SIZE:
        raise _problem(f"{path.name}: too large for a key file")
    return data


def _check_file(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _problem(f"{name}: not a regular file")
    if status.st_uid not in (os.geteuid(), 0):
        raise _problem(f"{name}: belongs to another user")
    if status.st_mode & _GROUP_OR_OTHERS:
        raise _problem(f"{name}: readable by others; if it is still to be trusted: chmod 600 {name}")


def _check_folder(folder: Path) -> None:
    try:
        status = folder.stat()
    except OSError as error:
        raise _problem(f"{folder.name}: cannot be read ({_name(error)})") from None
    if not stat.S_ISDIR(status.st_mode):
        raise _problem(f"{folder.name}: not a folder")
    if status.st_mode & _WRITABLE_BY_OTHERS:
        raise _problem(f"{folder.name}: others may write to this folder; chmod 700 {folder.name}")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "unknown error")


def _problem(detail: str) -> Problem:
    return Problem(Kind.UNAVAILABLE, "The keys are not available.", detail, retry_after=30)
