# SPDX-License-Identifier: Apache-2.0
"""A QR code as SVG inside the page: no picture that could be kept, no address that could be logged."""

from __future__ import annotations

import io

import segno
from markupsafe import Markup


def qr_code(text: str) -> Markup:
    """Draw a text as a QR code.

    Returns:
        An `svg` element with attributes only (a strict content policy allows no style), hidden from screen readers: the
        secret stands beside it as text.
    """
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out,
        kind="svg",
        xmldecl=False,
        svgns=True,
        omitsize=True,
        border=4,
        dark="#000",
        light="#fff",
        svgclass="salus-qr",
    )
    drawn = out.getvalue().decode().strip()
    return Markup(drawn.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))  # noqa: S704  made here
