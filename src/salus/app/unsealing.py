# SPDX-License-Identifier: Apache-2.0
"""The agent that holds the key of a root key file which is split among officers.

Each officer gives a share; when there are enough, the agent has the key and hands it to the processes of this
installation that ask: the server's workers, and commands. It runs inside `salus serve`, or alone as `salus keys agent`.
It listens on a socket in the data folder, which only the folder's user can reach, and writes nothing down.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from salus.crypto.kms import root_file
from salus.crypto.kms.local import LocalKeyProvider
from salus.crypto.kms.officers import Gathering
from salus.crypto.kms.provider import away
from salus.crypto.wiping import Secret, wipe
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Settings

_log = logging.getLogger(__name__)

SOCKET = "keys/unseal.sock"
_LONGEST = 1024  # bytes of a message
_PATIENCE = 5.0  # seconds to wait for the other side
_GIVE, _HAND_IN = b"key?", b"share "


class Agent:
    """Collects shares, then hands out the key they open. Runs in a thread of its own.

    Args:
        settings: of an installation whose root key is split.
        told: called with each thing that happened, for the terminal.
    """

    def __init__(self, settings: Settings, told: Callable[[str], None]) -> None:
        self._path = settings.path(settings.keys.root_key_file)
        self._gathering: Gathering = root_file.gathering(self._path)
        self._told = told
        self._key: bytearray | None = None
        self._open, self._closed = threading.Event(), threading.Event()
        self._socket = settings.folder / SOCKET
        if self._socket.exists():
            if _answers(self._socket):
                raise Problem(Kind.CONFLICT, "Something is already waiting for shares of this root key.")
            self._socket.unlink()  # left by one that was killed
        try:
            self._listener = Listener(str(self._socket), "AF_UNIX")
        except OSError as error:  # most often: the path is longer than the 107 bytes that a socket may have
            raise away(f"the socket {SOCKET} cannot be made: {type(error).__name__}") from None
        self._socket.chmod(0o600)
        threading.Thread(target=self._serve, name="unsealing", daemon=True).start()

    def wait(self) -> None:
        """Wait until enough officers have given their shares."""
        while not self._open.wait(1.0):  # in steps, so that Ctrl-C is heard
            pass

    def hold(self) -> None:
        """Go on handing out the key until interrupted."""
        while True:
            self._closed.wait(60.0)

    def close(self) -> None:
        """Forget the key and stop listening."""
        self._listener.close()
        self._socket.unlink(missing_ok=True)
        self._gathering.forget()
        if self._key is not None:
            wipe(self._key)

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:
                return  # closed
            try:
                with connection:
                    self._answer(connection)
            except (OSError, EOFError) as error:  # the other side went away
                _log.warning("unsealing: %s", type(error).__name__)

    def _answer(self, connection: Connection) -> None:
        if not connection.poll(_PATIENCE):
            return
        message = connection.recv_bytes(_LONGEST)
        if message == _GIVE:
            connection.send_bytes(b"" if self._key is None else bytes(self._key))
        elif message.startswith(_HAND_IN):
            try:
                words = self._taken(message.removeprefix(_HAND_IN).decode("ascii", "replace"))
            except Problem as problem:
                words = f"refused: {problem.public}"
            wipe(message)
            connection.send_bytes(words.encode())

    def _taken(self, share: str) -> str:
        if self._key is not None:
            return "open: the root key is open already."
        if not self._gathering.add(share):
            words = f"{self._gathering.given} of {self._gathering.needed} shares are there."
            self._told(words)
            return words
        key = self._gathering.key()
        try:
            root_file.open_file(self._path, key).close()
        except Problem:
            wipe(key)
            raise
        self._key = key
        self._open.set()
        self._told("The root key is open.")
        return "open: enough shares; the root key is open."


def opened_by(settings: Settings, shares: Iterable[str]) -> LocalKeyProvider:
    """The local key provider, opened by the officers' shares without an agent.

    Raises:
        Problem: INCORRECT for a share that does not belong to the key, UNAVAILABLE when there are too few.
    """
    path = settings.path(settings.keys.root_key_file)
    gathering = root_file.gathering(path)
    for share in shares:
        if gathering.add(share):
            break
    key = gathering.key()
    try:
        return LocalKeyProvider.open(path, key)
    finally:
        wipe(key)


def is_split(settings: Settings) -> bool:
    """Whether the root key is split among officers."""
    path = settings.path(settings.keys.root_key_file)
    return settings.keys.provider == "local" and root_file.protection_of(path) == root_file.OFFICERS


def hand_in(folder: Path, share: str) -> str:
    """Give a share to the agent of a data folder; returns its words.

    Raises:
        Problem: UNAVAILABLE when no agent is waiting; INCORRECT when it refuses the share.
    """
    answer = _asked(folder, _HAND_IN + share.strip().encode("ascii", "replace"))
    words = answer.decode()
    if words.startswith("refused: "):
        raise Problem(Kind.INCORRECT, words.removeprefix("refused: "))
    return words


def key_from_agent(folder: Path) -> Secret:
    """The key of a split root key file, from the agent.

    Raises:
        Problem: UNAVAILABLE when there is no agent, or too few officers have given their shares.
    """
    answer = _asked(folder, _GIVE)
    if not answer:
        raise away("sealed: not enough officers have run `salus keys unseal` yet")
    key = bytearray(answer)
    wipe(answer)
    return key


def _asked(folder: Path, message: bytes) -> bytes:
    try:
        with Client(str(folder / SOCKET), "AF_UNIX") as connection:
            connection.send_bytes(message)
            if not connection.poll(_PATIENCE):
                raise away("the unsealing agent does not answer")
            return connection.recv_bytes(_LONGEST)
    except (OSError, EOFError):
        raise away("sealed: the root key is split; run `salus serve` or `salus keys agent`, then unseal") from None


def _answers(socket: Path) -> bool:
    try:
        with Client(str(socket), "AF_UNIX"):
            return True
    except OSError:
        return False
