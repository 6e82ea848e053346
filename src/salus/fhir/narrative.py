# SPDX-License-Identifier: Apache-2.0
"""Which XHTML a narrative may hold (txt-1, txt-2: https://hl7.org/fhir/R4/narrative.html#xhtml).

An allow-list of elements, attributes and URL schemes; anything else is refused, never repaired. Scripts,
event handlers, forms, frames, embedded objects, external style sheets, document types, processing
instructions and CDATA have no entry and so no way in. Links to web pages and pictures remain possible, as
R4 allows them: whoever displays a narrative must still send a content security policy.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Final

NAMESPACE: Final = "http://www.w3.org/1999/xhtml"
ELEMENTS: Final = frozenset(
    {
        *(
            "a",
            "abbr",
            "acronym",
            "address",
            "area",
            "b",
            "bdo",
            "big",
            "blockquote",
            "br",
            "caption",
            "cite",
            "code",
        ),
        *(
            "col",
            "colgroup",
            "dd",
            "del",
            "dfn",
            "div",
            "dl",
            "dt",
            "em",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
        ),
        *(
            "i",
            "img",
            "ins",
            "kbd",
            "li",
            "map",
            "ol",
            "p",
            "pre",
            "q",
            "s",
            "samp",
            "small",
            "span",
            "strong",
            "sub",
        ),
        *("sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var"),
    }
)
ATTRIBUTES: Final = frozenset(
    {
        *(
            "abbr",
            "accesskey",
            "align",
            "alt",
            "axis",
            "bgcolor",
            "border",
            "cellpadding",
            "cellspacing",
            "char",
        ),
        *(
            "charoff",
            "charset",
            "cite",
            "class",
            "clear",
            "color",
            "colspan",
            "coords",
            "datetime",
            "dir",
            "frame",
        ),
        *(
            "headers",
            "height",
            "href",
            "hreflang",
            "id",
            "ismap",
            "lang",
            "longdesc",
            "name",
            "nohref",
            "noshade",
        ),
        *(
            "nowrap",
            "rel",
            "rev",
            "rowspan",
            "rules",
            "scope",
            "shape",
            "size",
            "span",
            "src",
            "start",
            "style",
        ),
        *(
            "summary",
            "tabindex",
            "target",
            "title",
            "type",
            "usemap",
            "valign",
            "value",
            "vspace",
            "hspace",
            "width",
        ),
        *("xml:lang", "xml:space", "xmlns"),
    }
)
_LINKS: Final = frozenset({"href", "src", "cite", "longdesc", "usemap"})
_VOID: Final = frozenset({"br", "hr", "img"})

_TOKEN: Final = re.compile(
    r"<(?P<end>/)?(?P<name>[A-Za-z][A-Za-z0-9]*+)"
    r"(?P<attributes>(?:\s++[A-Za-z_:][\w:.\-]*+\s*+=\s*+(?:\"[^\"<]*+\"|'[^'<]*+'))*+)\s*+(?P<empty>/)?>"
    r"|<!--(?P<comment>(?:[^-]|-(?!-))*+)-->"
    r"|<",
    re.ASCII,
)
_ATTRIBUTE: Final = re.compile(r"([A-Za-z_:][\w:.\-]*+)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')", re.ASCII)
_LOOSE_AMPERSAND: Final = re.compile(r"&(?!#[0-9]{1,7};|#x[0-9A-Fa-f]{1,6};|[A-Za-z][A-Za-z0-9]{1,31};)")
_INVISIBLE: Final = re.compile(r"[\x00-\x20\x7f-\xa0]+")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_SCHEMES: Final = ("http:", "https:", "mailto:", "tel:", "urn:", "ftp:")
_PICTURE: Final = re.compile(r"data:image/(?:png|jpeg|gif|webp|bmp);base64,[A-Za-z0-9+/=\s]*+\Z")
_FRAGMENT: Final = re.compile(r"\shref\s*+=\s*+[\"']#([^\"']++)")
_IDENTIFIER: Final = re.compile(r"\s(?:id|name)\s*+=\s*+[\"']([^\"']++)")
# A bitmap inside the style itself: nothing is fetched and nothing runs.
_EMBEDDED: Final = re.compile(
    r"url\(\s*[\"']?data:image/(?:png|jpeg|gif|webp|bmp);base64,[A-Za-z0-9+/=\s]*+[\"']?\s*\)", re.IGNORECASE
)
# A file beside the text, such as `tbl_bck0.png`: no scheme, no host, no way up.
_BESIDE: Final = re.compile(r"url\(\s*[\"']?[A-Za-z0-9_\-]+\.(?:png|jpeg|jpg|gif|webp|bmp)[\"']?\s*\)", re.IGNORECASE)
# Style text that can load, run or bind something, or hide that it does.
_STYLE: Final = re.compile(r"url\s*\(|expression|@import|javascript|behaviou?r|-moz-binding|\\|/\*", re.IGNORECASE)


def fault(div: str) -> str:
    """What is wrong with a narrative, or "" if nothing is.

    Args:
        div: content of `Narrative.div`.

    Returns:
        the rest of a sentence that starts with the place; it names elements and attributes, never text.
    """
    if "&" in div and _LOOSE_AMPERSAND.search(div):
        return "holds an ampersand that does not start an entity"
    open_elements: list[str] = []
    content = False
    end = 0
    for token in _TOKEN.finditer(div):
        between = div[end : token.start()]
        if between and not between.isspace():
            if not open_elements:
                return "must be one div element with nothing around it"
            content = True
        name = token["name"]
        if name is None:
            if token["comment"] is None:
                return "is not well-formed XHTML, or holds more than elements, text and comments"
        elif token["end"]:
            if token["attributes"] or token["empty"] or not open_elements or open_elements.pop() != name:
                return "is not well-formed XHTML: an end tag does not match"
        else:
            wrong = _start(name, token["attributes"], first=not open_elements, before=end)
            if wrong:
                return wrong
            content = content or name == "img"
            if not token["empty"]:
                open_elements.append(name)
        end = token.end()
    if open_elements or div[end:].strip() or not end:
        return "is not well-formed XHTML: it must be one closed div element"
    return "" if content else "must hold some text or a picture (txt-2)"


def links(div: str) -> list[str]:
    """Ids that links of a narrative point to within its resource."""
    return [unescape(target) for target in _FRAGMENT.findall(div)] if "#" in div else []


def identifiers(div: str) -> list[str]:
    """Ids that elements of a narrative have, by which links may point to them."""
    return [unescape(name) for name in _IDENTIFIER.findall(div)]


def _start(name: str, attributes: str, *, first: bool, before: int) -> str:
    """Fault of a start tag; `first` when no element is open, `before` how much text precedes it."""
    if name not in ELEMENTS:
        return "holds an element that narratives may not have (txt-1)"
    if first:
        if name != "div" or before:
            return "must be one div element with nothing around it"
        if not any(n == "xmlns" and (a or b) == NAMESPACE for n, a, b in _ATTRIBUTE.findall(attributes)):
            return f"must be a div element in the namespace {NAMESPACE}"
    return _attributes(attributes) if attributes else ""


def _attributes(text: str) -> str:
    seen = set()
    for name, double, single in _ATTRIBUTE.findall(text):
        if name not in ATTRIBUTES or name in seen:
            return "holds an attribute that narratives may not have, or has one twice (txt-1)"
        seen.add(name)
        value = unescape(double or single)
        if name in _LINKS and not _harmless(value, picture=name == "src"):
            return "holds a link of a kind that narratives may not have (txt-1)"
        if name == "style" and _STYLE.search(_BESIDE.sub("", _EMBEDDED.sub("", value))):
            return "holds a style that loads or runs something (txt-1)"
        if name == "xmlns" and value != NAMESPACE:
            return f"must stay in the namespace {NAMESPACE}"
    return ""


def _harmless(url: str, *, picture: bool) -> bool:
    """Whether a link is relative, a fragment, of an ordinary scheme, or an embedded bitmap."""
    plain = _INVISIBLE.sub("", url)
    if picture and _PICTURE.match(plain):
        return True
    return not _SCHEME.match(plain) or plain.lower().startswith(_SCHEMES)
