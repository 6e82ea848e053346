# SPDX-License-Identifier: Apache-2.0
"""From FHIR XML to the tree that the JSON reader gives (https://hl7.org/fhir/R4/xml.html).

Expat reads, and nothing that makes XML dangerous gets as far as it: a document type is refused before the parser sees
it, so that there are no entities to expand and nothing to fetch. UTF-8 only. Elements must be of FHIR's namespace and
known to the definitions; comments and processing instructions are passed over. Elements may come in any order.

Whether a value suits its element is decided by `salus.fhir.validate`: what is not a number where one belongs stays the
text that it is, and is refused there in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from xml.parsers import expat

from salus.fhir.definitions import resource_types
from salus.fhir.xml.shape import DEEPEST, FHIR, XHTML, Child, Form, shape
from salus.kernel.errors import Issue, Kind, Problem

_RESOURCES: Final = frozenset(resource_types())
_INTEGERS: Final = frozenset({"integer", "unsignedInt", "positiveInt"})
_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,3999})")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,3999})(?:\.[0-9]{1,4000})?(?:[eE][+-]?[0-9]{1,9})?")
_LOCATION: Final = "http://www.w3.org/2001/XMLSchema-instance schemaLocation"
_DECLARED: Final = re.compile(rb"""<div(?=[\s/>])(?:[^>"']|"[^"]*"|'[^']*')*?\sxmlns\s*=""")
_LINE_END: Final = re.compile(rb"\r\n?")


@dataclass(slots=True)
class _Frame:
    """An open element.

    Attributes:
        child: how it is defined; None for a resource.
        path: type of its content.
        value: its object in the tree; for a primitive that of its `_name` sibling.
        text: `value` attribute of a primitive.
    """

    child: Child | None
    path: str
    value: dict[str, Any]
    text: str | None = None
    inner: dict[str, Any] | None = field(default=None)


class Reader:
    """Reads one document, as a whole or in pieces.

    Args:
        raw: the whole document. Pieces are cut from it by `feed`, so that other work can be done in between.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._fed = 0
        self._stack: list[_Frame] = []
        self._root: dict[str, Any] | None = None
        self._narrative = 0  # open elements of XHTML
        self._narrative_at = 0  # where its first one starts
        if b"\0" in raw:  # a byte order mark would bring the parser to read UTF-16, whatever it was told
            raise _refused("The text is not UTF-8")
        if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
            raise _refused("A document type is not allowed")
        self._parser = parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.ordered_attributes = False
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = _no_document_type

    def feed(self, size: int) -> bool:
        """Read about `size` bytes more.

        Returns:
            Whether there is more to read.

        Raises:
            Problem: INCORRECT, with the line and column and never with content.
        """
        # A piece ends behind a tag: Expat would look through a half-read token again with each further piece.
        end = self._raw.find(b">", self._fed + size) + 1 or len(self._raw)
        piece = self._raw[self._fed : end]
        self._fed = end
        more = end < len(self._raw)
        try:
            self._parser.Parse(piece, not more)
        except expat.ExpatError as error:
            raise _refused("The syntax is broken", error.lineno, error.offset) from None
        return more

    def resource(self) -> dict[str, Any]:
        """The resource, when all was read."""
        if self._root is None:
            raise _refused("There is no resource")
        return self._root

    # ── what the parser finds ────────────────────────────────────────────────────────────────────────────────────

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        namespace, _, name = tag.rpartition(" ")
        if self._narrative:
            self._narrative += 1
            if self._narrative + len(self._stack) > DEEPEST:
                raise self._fault("The nesting is deeper than 200 levels")
            if namespace != XHTML:
                raise self._fault("A narrative holds elements of XHTML only")
            return
        if len(self._stack) >= DEEPEST:
            raise self._fault("The nesting is deeper than 200 levels")
        if not self._stack:
            if self._root is not None or namespace != FHIR or name not in _RESOURCES:
                raise self._fault(f"The document must be a resource of R4 in the namespace {FHIR}")
            attributes.pop(_LOCATION, None)
            self._open_resource(name, attributes)
            return
        parent = self._stack[-1]
        if parent.child is not None and parent.child.form is Form.RESOURCE:
            if namespace != FHIR or name not in _RESOURCES or parent.inner is not None:
                raise self._fault("Here belongs one resource")
            self._open_resource(name, attributes)
            return
        child = shape(parent.path).children.get(name)
        if child is None or namespace != (XHTML if child.form is Form.XHTML else FHIR):
            raise self._fault("An element is not known here, or is of another namespace")
        if child.form is Form.XHTML:
            self._narrative = 1
            self._narrative_at = self._parser.CurrentByteIndex
            return
        self._open(child, attributes)

    def _open_resource(self, name: str, attributes: dict[str, str]) -> None:
        if attributes:
            raise self._fault("A resource has no attributes")
        self._stack.append(_Frame(None, name, {"resourceType": name}))

    def _open(self, child: Child, attributes: dict[str, str]) -> None:
        primitive = child.form is Form.PRIMITIVE
        frame = _Frame(child, "Element" if primitive else child.type, {})
        if attributes:
            if primitive:
                frame.text = attributes.pop("value", None)
            allowed = shape(frame.path).attributes if child.form is not Form.RESOURCE else ()
            for name in allowed:
                if name in attributes:
                    frame.value[name] = attributes.pop(name)
            if attributes:
                raise self._fault("An attribute is not known here")
        self._stack.append(frame)

    def _text(self, data: str) -> None:
        if not self._narrative and not data.isspace():
            raise self._fault("Text belongs into the attribute value")

    def _end(self, _tag: str) -> None:
        if self._narrative:
            self._narrative -= 1
            if not self._narrative:
                self._put(self._stack[-1], shape(self._stack[-1].path).children["div"], self._div())
            return
        frame = self._stack.pop()
        if frame.child is None:
            if not self._stack:
                self._root = frame.value
            else:
                self._stack[-1].inner = frame.value
            return
        parent = self._stack[-1]
        if frame.child.form is Form.PRIMITIVE:
            self._put_primitive(parent, frame.child, frame)
            return
        value = frame.inner if frame.child.form is Form.RESOURCE else frame.value
        if not value:
            raise self._fault("An element must not be empty")
        self._put(parent, frame.child, value)

    # ── putting values into the tree ─────────────────────────────────────────────────────────────────────────────

    def _put(self, parent: _Frame, child: Child, value: Any) -> None:
        if child.many:
            parent.value.setdefault(child.name, []).append(value)
        elif child.name in parent.value:
            raise self._fault("An element occurs twice that may occur once")
        else:
            parent.value[child.name] = value

    def _put_primitive(self, parent: _Frame, child: Child, frame: _Frame) -> None:
        value = None if frame.text is None else _value(child.type, frame.text)
        sibling = frame.value or None
        if value is None and sibling is None:
            raise self._fault("An element must not be empty")
        node, name = parent.value, child.name
        if not child.many:
            if name in node or "_" + name in node:
                raise self._fault("An element occurs twice that may occur once")
            if value is not None:
                node[name] = value
            if sibling is not None:
                node["_" + name] = sibling
            return
        _append(node, name, value, sibling)

    def _div(self) -> str:
        """The narrative as it stands in the source, which is what JSON carries."""
        raw, start, at = self._raw, self._narrative_at, self._parser.CurrentByteIndex
        if not raw.startswith(b"<div", start):
            raise self._fault("Write the narrative without prefixes")
        # After an empty tag the parser stands behind it, else before the end tag.
        end = raw.index(b">", at) + 1 if raw.startswith(b"</div", at) else at
        text = raw[start:end]
        if not _DECLARED.match(text):  # declared further out; a JSON reader sees only this much
            text = b'<div xmlns="%b"%b' % (XHTML.encode(), text[4:])
        return _LINE_END.sub(b"\n", text).decode()

    def _fault(self, cause: str) -> Problem:
        return _refused(cause, self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber)


def decode(raw: bytes) -> dict[str, Any]:
    """Parse one resource.

    Args:
        raw: UTF-8 text of the document.

    Raises:
        Problem: INCORRECT with one issue (`structure`) that gives line and column, never content.
    """
    reader = Reader(raw)
    while reader.feed(len(raw)):
        pass
    return reader.resource()


def _append(node: dict[str, Any], name: str, value: Any, sibling: Any) -> None:
    """Add to the two arrays of a repeating primitive; the second is there only if it holds something."""
    values, siblings = node.get(name), node.get("_" + name)
    length = max(len(values or ()), len(siblings or ()))
    if value is not None or values is not None:
        if values is None:
            values = node[name] = [None] * length
        values.append(value)
    if sibling is not None or siblings is not None:
        if siblings is None:
            siblings = node["_" + name] = [None] * length
        siblings.append(sibling)


def _value(type_: str, text: str) -> Any:
    if type_ == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if type_ in _INTEGERS:
        return int(text) if _WHOLE.fullmatch(text) else text
    if type_ == "decimal":
        if _WHOLE.fullmatch(text):
            return int(text)
        return Decimal(text) if _DECIMAL.fullmatch(text) else text
    return text


def _no_document_type(*_: object) -> None:
    raise _refused("A document type is not allowed")


def _refused(cause: str, line: int | None = None, column: int | None = None) -> Problem:
    text = f"{cause}, at line {line} column {column}." if line is not None else f"{cause}."
    return Problem(Kind.INCORRECT, "The body is not FHIR XML.", issues=(Issue("structure", text),))
