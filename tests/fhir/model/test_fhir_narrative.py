# SPDX-License-Identifier: Apache-2.0
"""Narrative: ordinary clinical text passes, and nothing that a browser would run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir.narrative import NAMESPACE, fault


def div(inside: str) -> str:
    return f'<div xmlns="{NAMESPACE}">{inside}</div>'


@pytest.mark.parametrize(
    "inside",
    [
        "Maria &amp; Co &#160; &copy;",
        "<p>a<br/>b</p><!-- generated -->",
        '<table class="grid" border="1"><tbody><tr><td colspan="2">x</td></tr></tbody></table>',
        '<a href="https://example.org/x?y=1&amp;z=2">x</a><a name="top">y</a><a href="#top">z</a>',
        '<img src="data:image/png;base64,QUJD" alt="x"/>',
        "<p style='color: red; text-align: center'>x</p>",
        "<b\n>x</b >",
    ],
)
def test_ordinary_text_passes(inside: str) -> None:
    assert fault(div(inside)) == ""


@pytest.mark.parametrize(
    "inside",
    [
        "x<script>alert(1)</script>",
        "x<SCRIPT>alert(1)</SCRIPT>",
        'x<script src="https://evil.example"/>',
        '<p onclick="alert(1)">x</p>',
        '<p ONMOUSEOVER="alert(1)">x</p>',
        '<img src="x" onerror="alert(1)"/>',
        "<svg onload='alert(1)'>x</svg>",
        '<iframe src="https://evil.example">x</iframe>',
        '<object data="x">x</object>',
        '<embed src="x"/>x',
        '<form action="https://evil.example">x</form>',
        '<input type="text"/>x',
        '<link rel="stylesheet" href="https://evil.example"/>x',
        "<style>p{}</style>x",
        '<base href="https://evil.example"/>x',
        '<meta http-equiv="refresh" content="0"/>x',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="JaVaScRiPt:alert(1)">x</a>',
        '<a href=" javascript:alert(1)">x</a>',
        '<a href="java&#x0A;script:alert(1)">x</a>',
        '<a href="java&Tab;script:alert(1)">x</a>',
        '<a href="&#106;avascript&colon;alert(1)">x</a>',
        '<a href="vbscript:x">x</a>',
        '<a href="data:text/html;base64,QUJD">x</a>',
        '<img src="data:image/svg+xml;base64,QUJD" alt="x"/>',
        '<p style="background: url(https://evil.example)">x</p>',
        '<p style="background: u\\72l(https://evil.example)">x</p>',
        '<p style="width: expression(alert(1))">x</p>',
        '<p style="width: exp/**/ression(alert(1))">x</p>',
        "<math><mtext>x</mtext></math>",
        '<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
        '<p xmlns="http://www.w3.org/2000/svg">x</p>',
        "<![CDATA[<script>alert(1)</script>]]>",
        "<?php echo 1 ?>x",
        '<!DOCTYPE x [<!ENTITY a "b">]>x',
        "x<!-- a --!><script>alert(1)</script> -->",
        '<a href="x" href="javascript:alert(1)">x</a>',
        "<p class=x>x</p>",
        "<p/onclick=alert(1)>x</p>",
    ],
)
def test_attack_active_content_in_narrative(inside: str) -> None:
    assert fault(div(inside)) != ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "<p>x</p>",
        "<div>x</div>",
        '<div xmlns="http://example.org">x</div>',
        div(""),
        div("  <br/> "),
        div("x") + div("y"),
        div("x") + "tail",
        "head" + div("x"),
        div("<p>x"),
        div("x</p>"),
        div("<b><i>x</b></i>"),
        div("a < b"),
        div("a & b"),
        div("a &nosemicolon b"),
        "<!-- a --><script>x</script>",
    ],
)
def test_text_that_is_not_one_wellformed_div_is_refused(text: str) -> None:
    assert fault(text) != ""


@pytest.mark.parametrize("piece", ["<!--", "<a ", "<b>", "&", '<a href="x', "<!-- - -", "<a href='' ", "</div>"])
def test_attack_narrative_written_to_make_the_parser_slow(piece: str) -> None:
    assert fault(f'<div xmlns="{NAMESPACE}">' + piece * 50_000) != ""


@given(st.text("<>/!-?&;#='\" adivspn:xmlhref[]C", max_size=60))
def test_whatever_passes_holds_no_unknown_markup(inside: str) -> None:
    if fault(div(inside)) == "":
        for piece in inside.split("<")[1:]:
            assert piece.lstrip("/").lower().startswith(("a", "b", "d", "i", "p", "s", "!--"))
