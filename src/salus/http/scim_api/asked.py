# SPDX-License-Identifier: Apache-2.0
"""What a query asks for: filters as a closed tree, order, page, attributes (RFC 7644 sections 3.4.2 and 3.9).

A filter is parsed by the grammar of the RFC into nodes of a few kinds, and judged by walking them over a resource.
None of it ever becomes SQL, and none of it names anything but attributes of the published schemas.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from scim2_models import Resource, ResponseParameters, ScimFilter, SearchRequest
from scim2_models.path import CompareOperator, Comparison

from salus.http.scim_api.messages import understood, wrong
from salus.http.scim_api.models import TOLERANT

_PARAMETERS = ("filter", "sortBy", "sortOrder", "startIndex", "count", "attributes", "excludedAttributes")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # half a character, which no name has
_LONGEST_FILTER = 2000
_MOST_BRACKETS = 40
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


def search_of(pairs: Sequence[tuple[str, str]], model: Any) -> SearchRequest[Any]:
    """A search in an address.

    Raises:
        Problem: INCORRECT for what is not understood; a parameter that there is not is an error as well.
    """
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name not in _PARAMETERS or name in given:
            raise wrong("invalidValue", name if name in _PARAMETERS else "")
        given[name] = value
    return _checked(given, model)


def search_in(body: dict[str, Any], model: Any) -> SearchRequest[Any]:
    """A search in a body, as `.search` takes it. Raises as `search_of`."""
    if body.get("schemas") != [_SCHEMA]:
        raise wrong("invalidSyntax")
    return _checked({name: value for name, value in body.items() if name != "schemas"}, model)


def patch_in(body: dict[str, Any]) -> dict[str, Any]:
    """A PATCH that says that it is one (RFC 7644 section 3.5.2). Raises Problem(INCORRECT)."""
    if body.get("schemas") != [_PATCH]:
        raise wrong("invalidSyntax")
    return body


def attributes_of(pairs: Sequence[tuple[str, str]], model: Any) -> ResponseParameters[Any]:
    """Which attributes of one resource are wanted. Raises as `search_of`."""
    given = {name: value for name, value in pairs if name in ("attributes", "excludedAttributes")}
    if len(given) != len(pairs):
        raise wrong("invalidValue")
    with understood():
        asked: ResponseParameters[Any] = ResponseParameters[model].model_validate(given, scim_policy=TOLERANT)
        return asked


def _checked(given: dict[str, Any], model: Any) -> SearchRequest[Any]:
    text = given.get("filter")
    if isinstance(text, str) and (
        len(text) > _LONGEST_FILTER or text.count("(") > _MOST_BRACKETS or _HALF.search(text)
    ):
        raise wrong("invalidFilter", "filter")
    with understood():
        request: SearchRequest[Any] = SearchRequest[model].model_validate(
            {"schemas": [_SCHEMA], **given}, scim_policy=TOLERANT
        )
        return request


def exact(filter_: ScimFilter[Any] | None) -> tuple[str, str] | None:
    """The one attribute that a filter compares for equality, in lower case, with its value: it need not look at all."""
    node = filter_.ast if filter_ is not None else None
    if not isinstance(node, Comparison) or node.op is not CompareOperator.eq or not isinstance(node.value, str):
        return None
    if node.attr_path.sub_attr:
        return None
    return node.attr_path.attr.lower(), node.value


def matches(filter_: ScimFilter[Any] | None, resource: Resource[Any]) -> bool:
    """Whether a resource is one that the filter wants. Raises Problem(INCORRECT)."""
    with understood():
        return filter_ is None or filter_.match(resource)
