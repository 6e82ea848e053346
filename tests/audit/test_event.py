# SPDX-License-Identifier: Apache-2.0
"""The list of events is closed and every event is explained."""

from __future__ import annotations

from salus.audit.event import DESCRIPTIONS, EventType


def test_every_event_has_one_line_of_description() -> None:
    assert set(DESCRIPTIONS) == set(EventType)
    assert all(text.endswith(".") and "\n" not in text for text in DESCRIPTIONS.values())
    assert len(set(DESCRIPTIONS.values())) == len(DESCRIPTIONS)


def test_names_tell_the_room_and_what_was_done() -> None:
    rooms = {name.partition(".")[0] for name in EventType}
    assert rooms == {
        "record",
        "auth",
        "user",
        "tenant",
        "audit",
        "policy",
        "keys",
        "server",
        "package",
        "terminology",
        "index",
        "backup",
        "erasure",
        "store",
        "request",
        "page",
        "oauth",
        "client",
        "provision",
        "federation",
    }
