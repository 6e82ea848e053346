# SPDX-License-Identifier: Apache-2.0
"""FHIR XML both ways, and what makes XML dangerous (https://hl7.org/fhir/R4/xml.html)."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.maximal import _object as fullest

from salus.fhir import json, xml
from salus.fhir.definitions import resource_types
from salus.fhir.validate import check
from salus.kernel.errors import Kind, Problem

NS = 'xmlns="http://hl7.org/fhir"'
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'


def patient(inside: str) -> bytes:
    return f"<Patient {NS}>{inside}</Patient>".encode()


def both_ways(resource: dict[str, Any]) -> dict[str, Any]:
    return xml.decode(xml.encode(resource))


def test_what_is_written_is_what_the_standard_shows() -> None:
    resource = json.decode(
        b'{"resourceType":"Patient","id":"p","birthDate":"1974-12-25","_birthDate":{"id":"a","extension":[{"url":"u:x",'
        b'"valueDateTime":"1974-12-25T14:35:45-05:00"}]},"active":true,"multipleBirthInteger":2,'
        b'"name":[{"family":"Chalmers","given":["Peter",null,"James"],"_given":[null,{"id":"g"},null]}],'
        b'"contained":[{"resourceType":"Organization","id":"o","name":"X & Y"}]}'
    )
    assert xml.encode(resource).decode() == (
        f'<?xml version="1.0" encoding="UTF-8"?><Patient {NS}><id value="p"/>'
        '<contained><Organization><id value="o"/><name value="X &amp; Y"/></Organization></contained>'
        '<active value="true"/><name><family value="Chalmers"/><given value="Peter"/><given id="g"/>'
        '<given value="James"/></name><birthDate id="a" value="1974-12-25"><extension url="u:x">'
        '<valueDateTime value="1974-12-25T14:35:45-05:00"/></extension></birthDate><multipleBirthInteger value="2"/>'
        "</Patient>"
    )
    assert both_ways(resource) == resource


@pytest.mark.parametrize("number", [b"1.10", b"-0.0", b"1E+3", b"100", b"0.000000000000000000000001", b"1e-300"])
def test_decimals_keep_their_digits(number: bytes) -> None:
    raw = b'{"resourceType":"Observation","valueQuantity":{"value":%b}}' % number
    assert json.encode(both_ways(json.decode(raw))) == json.encode(json.decode(raw))


@pytest.mark.parametrize("text", ["a\nb", "a\tb\r\nc", "  a  ", "<&>\"'", "😀 Å", "]]>", "&#10;", "a\u00a0b\u2028c"])
def test_white_space_and_signs_in_texts_are_kept(text: str) -> None:
    resource = {"resourceType": "Patient", "name": [{"text": text}]}
    assert both_ways(resource) == resource


def test_what_xml_cannot_carry_does_not_break_it() -> None:
    resource = {"resourceType": "Patient", "name": [{"text": "a\x00\x1b\uffffb"}]}
    assert both_ways(resource)["name"] == [{"text": "a\ufffd\ufffd\ufffdb"}]


@pytest.mark.parametrize(
    "div",
    [
        f"{DIV}a<br/>b &amp; &#169; <b title='x>y'>c</b></div>",
        f"{DIV}<!-- > --><p>\n two lines\n</p></div>",
        "<div xmlns='http://www.w3.org/1999/xhtml' class='a'>x</div>",
        f'{DIV}<img src="a.png" alt=">"/></div>',
    ],
)
def test_narratives_stay_letter_by_letter(div: str) -> None:
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    assert both_ways(resource) == resource


def test_entities_of_html_become_signs() -> None:
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": f"{DIV}a&nbsp;&eacute;&amp;</div>"}}
    assert both_ways(resource)["text"]["div"] == f"{DIV}a\u00a0é&amp;</div>"


@pytest.mark.parametrize("div", ["<b>", "</text></Patient>", f"{DIV}&unknown;</div>", "<!DOCTYPE x><div/>", "plain <"])
def test_a_narrative_cannot_break_out_of_its_place(div: str) -> None:
    written = xml.encode({"resourceType": "Patient", "text": {"status": "generated", "div": div}, "active": True})
    read = xml.decode(written)
    assert read["active"] is True
    assert read["text"]["div"].startswith(DIV)


def test_a_namespace_that_was_declared_further_out_comes_with_the_narrative() -> None:
    sent = (
        '<f:Patient xmlns:f="http://hl7.org/fhir" xmlns="http://www.w3.org/1999/xhtml"><f:text>'
        '<f:status value="generated"/><div class="c">hi</div></f:text></f:Patient>'
    )
    assert xml.decode(sent.encode())["text"]["div"] == f'{DIV[:-1]} class="c">hi</div>'


def test_order_comments_and_instructions_do_not_matter() -> None:
    sent = (
        b'\xef\xbb\xbf<?xml version="1.0"?>\n<?xml-stylesheet href="x"?><!-- c -->'
        + patient('\n <birthDate value="1980-01-01"/><!-- d --><?x y?>\n<active value="false"/>\n')
        + b"<!-- e -->"
    )
    assert xml.decode(sent) == {"resourceType": "Patient", "birthDate": "1980-01-01", "active": False}


def test_values_that_do_not_suit_stay_and_are_named_by_the_validation() -> None:
    read = xml.decode(patient('<active value="yes"/><multipleBirthInteger value="2.0"/>'))
    with pytest.raises(Problem) as caught:
        check(read, "Patient")
    assert {issue.place for issue in caught.value.issues} >= {"Patient.active"}


def test_pretty_says_the_same() -> None:
    narrative = {"status": "generated", "div": f"{DIV}a\n b</div>"}
    resource = {"resourceType": "Patient", "text": narrative, "name": [{"family": "x"}]}
    written = xml.encode(resource, pretty=True)
    assert written.count(b"\n") > 6
    assert xml.decode(written) == resource


BOMB = (
    "<!DOCTYPE p ["
    + "".join(f'<!ENTITY l{n + 1} "&l{n};&l{n};&l{n};&l{n};&l{n};&l{n};&l{n};&l{n};&l{n};&l{n};">' for n in range(9))
    + "]>"
)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"   ",
        b"<",
        b"{}",
        b"<?xml version='1.0'?>",
        BOMB.encode() + patient('<language value="&l9;"/>'),
        b'<!DOCTYPE p SYSTEM "http://127.0.0.1:1/x.dtd">' + patient("<id value='x'/>"),
        b'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + patient("<language value='&x;'/>"),
        b'<!DOCTYPE p [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>' + patient("<id value='x'/>"),
        b"<!doctype p>" + patient("<id value='x'/>"),
        patient("<language value='&x;'/>"),
        patient("<id value='x'/>").decode().encode("utf-16"),
        b'<?xml version="1.0" encoding="iso-8859-1"?>'
        + patient("<name><text value='é'/></name>").replace("é".encode(), b"\xe9"),
        b"<Patient><id value='x'/></Patient>",
        b"<Patient xmlns='http://hl7.org/fhir/x'><id value='x'/></Patient>",
        b"<Nurse xmlns='http://hl7.org/fhir'><id value='x'/></Nurse>",
        b"<name xmlns='http://hl7.org/fhir'><text value='x'/></name>",
        patient("<nickname value='x'/>"),
        patient("<id xmlns='urn:x' value='x'/>"),
        patient("<id value='x' other='y'/>"),
        patient("<id xmlns:o='urn:o' o:value='x'/>"),
        patient("<id/>"),
        patient("<name/>"),
        patient("<contained/>"),
        patient("<contained><Patient/><Patient/></contained>"),
        patient("<contained><name><text value='x'/></name></contained>"),
        patient("<contained id='x'><Patient/></contained>"),
        patient("<id value='a'/><id value='b'/>"),
        patient("<maritalStatus><text value='a'/></maritalStatus><maritalStatus><text value='b'/></maritalStatus>"),
        patient("words"),
        patient("<id value='x'>words</id>"),
        patient("<extension><url value='x'/></extension>"),
        patient("<birthDate value='2000'><value value='x'/></birthDate>"),
        patient("<text><div>x</div></text>"),
        patient("<text><h:div xmlns:h='http://www.w3.org/1999/xhtml'>x</h:div></text>"),
        patient(f"<text>{DIV}<id xmlns='http://hl7.org/fhir' value='x'/></div></text>"),
        patient("<id value='x'/>") * 2,
        patient("<id value='x'/>") + b"after",
        patient("<contact>" * 150 + "</contact>" * 150),
        patient(f"<text>{DIV}" + "<b>" * 300 + "x" + "</b>" * 300 + "</div></text>"),
        patient("<extension url='x'>" * 300 + "</extension>" * 300),
        b"<Patient xmlns='http://hl7.org/fhir' id='x'/>",
        b"<a:Patient xmlns:b='http://hl7.org/fhir'/>",
    ],
)
def test_what_is_refused(sent: bytes) -> None:
    with pytest.raises(Problem) as caught:
        xml.decode(sent)
    assert caught.value.kind is Kind.INCORRECT
    assert caught.value.issues[0].code == "structure"
    assert "passwd" not in repr(caught.value.issues)


def test_the_way_in_pieces_reads_the_same() -> None:
    resource = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {
                "resource": {
                    "resourceType": "Patient",
                    "text": {"status": "generated", "div": f"{DIV}{'é<br/>' * 50}</div>"},
                    "name": [{"text": "ü>" * number}],
                }
            }
            for number in range(1, 40)
        ],
    }
    raw = xml.encode(resource)
    for size in (1, 7, 1000):
        reader = xml.Reader(raw)
        while reader.feed(size):
            pass
        assert reader.resource() == resource


fragments = st.lists(
    st.sampled_from(
        [
            *(
                "<name>",
                "</name>",
                '<id value="x"/>',
                '<birthDate value="2000"/>',
                '<extension url="x">',
                "</extension>",
            ),
            *(
                "<contained>",
                "</contained>",
                f"<Patient {NS}>",
                "</Patient>",
                DIV,
                "</div>",
                "<text>",
                "</text>",
                "<div/>",
            ),
            *("<!--", "-->", "<![CDATA[", "]]>", "<?x", "?>", "&amp;", "&x;", "words", " ", '<given value="', '"/>'),
        ]
    ),
    max_size=14,
)


@given(fragments)
def test_anything_is_read_or_refused(parts: list[str]) -> None:
    with contextlib.suppress(Problem):
        read = xml.decode(patient("".join(parts)))
        assert xml.decode(xml.encode(read)) == read


@given(st.binary(max_size=80))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(Problem):
        xml.decode(raw)


@pytest.mark.parametrize("type_", resource_types())
def test_every_element_of_every_type_comes_back(type_: str) -> None:
    resource = json.decode(json.encode({"resourceType": type_, **fullest(type_, "zebu", "anna", 0)}))
    written = xml.encode(resource)
    assert xml.decode(written) == resource
    assert written.count(b"zebu") == json.encode(resource).count(b"zebu")  # nothing was left out
