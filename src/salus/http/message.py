# SPDX-License-Identifier: Apache-2.0
"""Requests as the routes see them, and the answers that they give back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from salus.kernel.errors import Issue, Kind, Problem

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

FHIR_JSON = b"application/fhir+json; charset=utf-8"
JSON = b"application/json; charset=utf-8"

_MAX_PARAMETERS = 200


@dataclass(frozen=True, slots=True)
class Form:
    """The form in which the client wants the answer.

    Attributes:
        version: `fhirVersion` as it was asked for, to be named in the answer.
    """

    xml: bool = False
    pretty: bool = False
    version: str = ""


@dataclass(slots=True)
class Response:
    """What goes back; security headers are added on the way out.

    Attributes:
        stream: the body in pieces, in place of `body`.
        length: of the stream, in bytes.
    """

    status: int
    body: bytes = b""
    content_type: bytes = FHIR_JSON
    headers: list[Header] = field(default_factory=list)
    stream: AsyncIterator[bytes] | None = None
    length: int | None = None


CLIENT_CERTIFICATE = "salus.client-certificate"
"""Extension of the scope, on the port for services: SHA-256 of the verified certificate of the client, in hex."""


class Request:
    """One HTTP request; the body is read when a route asks for it.

    Attributes:
        raw_query: as on the wire.
        form_parameters: parameters that came in the body of a search.
        form: how the answer is wanted, once somebody has asked.
        nonce: for the next proof of possession (RFC 9449), told with the answer.
        page: whether a person at a browser asks, who is told about failures by a page.
    """

    def __init__(self, scope: Scope, receive: Receive, body_limit: int) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        if b"cookie" in self.headers:  # HTTP/2 may send it in several parts (RFC 9113 section 8.2.3)
            self.headers[b"cookie"] = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
        self.raw_query: bytes = scope["query_string"]
        self.form_parameters: list[tuple[str, str]] = []
        self.form: Form | None = None
        self.page = False
        self.nonce = ""
        self._sent: list[Header] = list(scope["headers"])
        self._client = scope.get("client")
        self.client_certificate: str = scope.get("extensions", {}).get(CLIENT_CERTIFICATE, "")
        self._receive = receive
        self._limit = body_limit
        self._ahead: list[bytes] = []  # read, and not yet given to anybody
        self._more = True

    @property
    def address(self) -> str:
        """Address of the peer."""
        return self._client[0] if self._client else ""

    def header(self, name: bytes) -> str:
        """A header's value, or nothing. Names are in lower case."""
        return self.headers.get(name, b"").decode("latin-1")

    def times(self, name: bytes) -> int:
        """How often a header is there. Names are in lower case."""
        return sum(known == name for known, _ in self._sent)

    @property
    def query_text(self) -> str:
        """The query as it was sent, for conditional interactions."""
        return text_of(self.raw_query, "query")

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        """The query as pairs, percent-decoded."""
        return pairs(self.query_text, "query")

    async def body(self) -> bytes:
        """Read the body.

        Raises:
            Problem: TOO_LARGE as soon as it is known to be larger than the limit.
        """
        chunks = [chunk async for chunk in self.pieces(self._limit)]
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def pieces(self, limit: int) -> AsyncIterator[bytes]:
        """Give the body as it comes in.

        Raises:
            Problem: TOO_LARGE as soon as it is known to have more than `limit` bytes; INCORRECT when it does not end;
                FORMAT for a compressed one, which nothing here unpacks.
        """
        if self.header(b"content-encoding").strip().lower() not in {"", "identity"}:
            raise _encoded()
        announced = self.headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > limit:
            raise _too_large(limit)
        size = 0
        while self._ahead or self._more:
            chunk = self._ahead.pop(0) if self._ahead else await self._next()
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            yield chunk

    async def start(self, count: int) -> bytes:
        """Look at the first bytes of the body, fewer than `count` only if there are no more; they stay to be read."""
        while self._more and sum(map(len, self._ahead)) < count:
            self._ahead.append(await self._next())
        return b"".join(self._ahead)[:count]

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Problem(Kind.INCORRECT, "The connection was closed before the request was complete.")
        self._more = message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body


def text_of(raw: bytes, place: str) -> str:
    """Parameters as text; what is not UTF-8 is refused, never guessed.

    Raises:
        Problem: INCORRECT.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        text = "The parameters must be UTF-8."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("value", text, place),)) from None


def pairs(text: str, place: str) -> list[tuple[str, str]]:
    """Take `a=1&b=2` apart (https://url.spec.whatwg.org/#application/x-www-form-urlencoded).

    Raises:
        Problem: INCORRECT for bytes that are not UTF-8 and for more parameters than anyone needs.
    """
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError:  # UnicodeDecodeError is one
        problem = f"The parameters must be UTF-8, and at most {_MAX_PARAMETERS}."
        raise Problem(Kind.INCORRECT, problem, issues=(Issue("value", problem, place),)) from None


def _encoded() -> Problem:
    """RFC 9110 section 8.4: a coding that is not known is told, never taken for the content."""
    text = "Send the body as it is, without Content-Encoding."
    return Problem(Kind.FORMAT, text, issues=(Issue("not-supported", text, "http.Content-Encoding"),))


def _too_large(limit: int) -> Problem:
    return Problem(Kind.TOO_LARGE, f"A request may have at most {limit} bytes.")


async def send_response(send: Send, response: Response, always: Mapping[bytes, bytes], *, head: bool = False) -> None:
    """Write a response with the headers that every answer carries.

    Args:
        always: headers that every answer carries; where it says something of its own under the same name, that counts.
        head: leave out the body, whose length is told all the same.
    """
    own = [name for name, _ in response.headers if name in always]
    usual = always.items() if not own else [header for header in always.items() if header[0] not in own]
    headers = [*response.headers, *usual]
    length = len(response.body) if response.length is None else response.length
    if response.body or response.length is not None:
        headers.append((b"content-type", response.content_type))
    headers.append((b"content-length", b"%d" % length))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.stream is not None and not head:
        async for piece in response.stream:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if head else response.body})
