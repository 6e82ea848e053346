# SPDX-License-Identifier: Apache-2.0
"""From the decoded tree to FHIR XML (https://hl7.org/fhir/R4/xml.html).

Only what the definitions know is written. What XML cannot carry (control characters) becomes U+FFFD, and a narrative
that is not well-formed is written as text, so that no content can break out of its place.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from decimal import Decimal
from html.entities import name2codepoint
from typing import Any, Final
from xml.parsers import expat

from salus.fhir.xml.shape import FHIR, XHTML, Child, Form, shape

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>'
# https://www.w3.org/TR/xml/#charsets
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Line ends and tabs are written as references: a reader turns bare ones in an attribute into spaces
# (https://www.w3.org/TR/xml/#AVNormalize).
_ESCAPED: Final = re.compile('[&<>"\t\n\r]')
_ESCAPES: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}
_ENTITY: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_OF_XML: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})


def encode(resource: dict[str, Any], *, pretty: bool = False) -> bytes:
    """Write a resource as XML.

    Args:
        resource: as `salus.fhir.json.decode` gives it, of a type that R4 knows.
        pretty: one element to a line, indented.
    """
    writing = write(resource, pretty=pretty)
    while True:
        try:
            next(writing)
        except StopIteration as done:
            return bytes(done.value)


def write(resource: dict[str, Any], *, pretty: bool = False) -> Generator[None, None, bytes]:
    """The same in steps, one for each entry of a Bundle, so that other work can be done in between."""
    type_ = resource["resourceType"]
    out = [f'<{type_} xmlns="{FHIR}">']
    for name, child in shape(type_).children.items():
        if type_ == "Bundle" and name == "entry":
            for entry in resource.get(name, ()):
                _element(out, child, entry)
                yield
        else:
            _child(out, child, resource)
    out.append(f"</{type_}>")
    return (_HEAD + (_indented(out) if pretty else "".join(out))).encode()


def _indented(out: list[str]) -> str:
    lines: list[str] = []
    depth = 0
    for tag in out:  # each is a start tag, an end tag, an empty element or a whole narrative
        closes = tag.startswith("</")
        depth -= closes
        lines.append("\n" + "  " * depth + tag)
        depth += not closes and not tag.endswith("/>") and not tag.endswith("</div>")
    return "".join(lines) + "\n"


def _resource(out: list[str], resource: dict[str, Any]) -> None:
    type_ = resource["resourceType"]
    out.append(f"<{type_}>")
    _children(out, type_, resource)
    out.append(f"</{type_}>")


def _child(out: list[str], child: Child, node: dict[str, Any]) -> None:
    name = child.name
    value, sibling = node.get(name), node.get("_" + name)
    if value is None and sibling is None:
        return
    if child.form is Form.PRIMITIVE:
        _primitives(out, name, value, sibling)
        return
    for item in value if isinstance(value, list) else (value,):
        if item is not None:
            _element(out, child, item)


def _children(out: list[str], path: str, node: dict[str, Any]) -> None:
    for child in shape(path).children.values():
        _child(out, child, node)


def _element(out: list[str], child: Child, value: Any) -> None:
    if child.form is Form.XHTML:
        out.append(_narrative(value))
    elif child.form is Form.RESOURCE:
        out.append(f"<{child.name}>")
        _resource(out, value)
        out.append(f"</{child.name}>")
    else:
        named = "".join(_attribute(name, value[name]) for name in shape(child.type).attributes if name in value)
        start = len(out)
        out.append(f"<{child.name}{named}>")
        _children(out, child.type, value)
        _close(out, start, child.name)


def _primitives(out: list[str], name: str, values: Any, siblings: Any) -> None:
    if not isinstance(values, list) and not isinstance(siblings, list):
        _primitive(out, name, values, siblings)
        return
    # https://hl7.org/fhir/R4/json.html#primitive: two arrays of the same length, null where one has nothing
    some, others = values or [], siblings or []
    for at in range(max(len(some), len(others))):
        _primitive(out, name, some[at] if at < len(some) else None, others[at] if at < len(others) else None)


def _primitive(out: list[str], name: str, value: Any, sibling: Any) -> None:
    start = len(out)
    inside = sibling or {}
    named = _attribute("id", inside["id"]) if "id" in inside else ""
    if value is not None:
        named += _attribute("value", value)
    if not named and "extension" not in inside:
        return  # a null that only holds a place
    out.append(f"<{name}{named}>")
    if inside:
        _children(out, "Element", inside)
    _close(out, start, name)


def _close(out: list[str], start: int, name: str) -> None:
    if len(out) == start + 1:
        out[start] = out[start][:-1] + "/>"
    else:
        out.append(f"</{name}>")


def _attribute(name: str, value: Any) -> str:
    return f' {name}="{_escaped(_text(value))}"'


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | Decimal) else ""


def _escaped(text: str) -> str:
    if not text.isprintable():
        text = _NOT_XML.sub("\ufffd", text)
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], text)


def _narrative(div: str) -> str:
    """XHTML as it stands; entities of HTML become characters, since XML without a document type knows none."""
    text = _NOT_XML.sub("\ufffd", div)
    if "&" in text:
        text = _ENTITY.sub(_character, text)
    # A reader drops carriage returns of the source; those of the text must be references.
    text = text.replace("\r", "&#13;")
    return text if _well_formed(text) else f'<div xmlns="{XHTML}">{_escaped(div)}</div>'


def _character(found: re.Match[str]) -> str:
    name = found[1]
    return found[0] if name in _OF_XML or name not in name2codepoint else chr(name2codepoint[name])


def _well_formed(text: str) -> bool:
    if "<!DOCTYPE" in text:
        return False
    try:
        expat.ParserCreate("utf-8", " ").Parse(text.encode(), True)
    except expat.ExpatError:
        return False
    return True
