# SPDX-License-Identifier: Apache-2.0
"""Draws pages: two Jinja environments, and the headers that go with a page.

Our own templates see StrictUndefined: a name that is not there is an error and not a gap. The macros of
nhsuk-frontend-jinja need a lax environment; they are drawn there, by themselves, with the values that we hand over.
Both escape whatever is not marked as markup.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from salus.http.message import Header, Response
from salus.web.assets import Assets

_HTML = b"text/html; charset=utf-8"
_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'{more}; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS: tuple[Header, ...] = (
    (b"referrer-policy", b"same-origin"),  # with no-referrer, browsers send our own forms with `Origin: null`
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), geolocation=(), "
        b"microphone=(), payment=(), usb=()",
    ),
)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*:(//[A-Za-z0-9.\[\]:-]+)?")


class Components:
    """The components of nhsuk-frontend by their names in camel case: `ui.errorSummary({...})`."""

    def __init__(self) -> None:
        loader = PackageLoader("nhsuk_frontend_jinja")
        self._lax = Environment(
            loader=loader, autoescape=True, undefined=ChainableUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._known: dict[str, Callable[[Any], Markup]] = {}

    def __getattr__(self, name: str) -> Callable[[Any], Markup]:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._known:
            folder = re.sub(r"([A-Z])", lambda upper: f"-{upper[1].lower()}", name)
            module = self._lax.get_template(f"nhsuk/components/{folder}/macro.jinja").module
            self._known[name] = getattr(module, name)
        return self._known[name]


def _wrong(errors: dict[str, str], field: str) -> dict[str, str] | None:
    """What a component says beside a field; None when nothing is wrong with it."""
    return {"text": errors[field]} if field in errors else None


class Drawing:
    """Draws templates of `salus/web/templates`.

    Args:
        assets: styles and scripts that pages name.
    """

    def __init__(self, assets: Assets) -> None:
        self._env = Environment(
            loader=PackageLoader("salus.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.globals |= {
            "ui": Components(),
            "asset": assets.address,
            "integrity": assets.integrity,
            "wrong": _wrong,
        }

    def page(self, template: str, status: int, values: dict[str, Any], form_to: tuple[str, ...] = ()) -> Response:
        """Draw a page or a fragment.

        Args:
            template: its name below `templates/`.
            status: HTTP status.
            values: what the template names; a missing one is an error.
            form_to: origins or schemes to which an answer to a form of this page may redirect (`https://app.example`).

        Raises:
            Problem: UNAVAILABLE when the assets were not built.
        """
        nonce = secrets.token_urlsafe(18)
        text = self._env.get_template(template).render(nonce=nonce, **values)
        more = "".join(f" {origin}" for origin in form_to if _ORIGIN.fullmatch(origin))
        policy = _POLICY.format(nonce=nonce, more=more)
        return Response(status, text.encode(), _HTML, [*_ALWAYS, (b"content-security-policy", policy.encode())])
