# SPDX-License-Identifier: Apache-2.0
"""The brute force that searches are compared with, and the laying side by side of requests and answers."""

from __future__ import annotations

import json

from bench.corpus import Question, Seen, stored

LOINC = ("http://loinc.org", "8867-4")
EARLY = Seen("early", "Patient/a", frozenset({LOINC}), "2020-01-01", 1_577_836_801_000.0)  # 2020-01-01T00:00:00Z + 1 s
LATE = Seen("late", "Patient/b", frozenset({LOINC}), "2020-01-02", 1_577_923_201_000.0)


def test_brute_force_holds_each_part_of_a_question() -> None:
    everything = [EARLY, LATE]
    assert Question("", LOINC, "2020-01-01").brute_force(everything) == {"early", "late"}
    assert Question("", LOINC, "2020-01-02").brute_force(everything) == {"late"}
    assert Question("Patient/a", LOINC, "").brute_force(everything) == {"early"}
    assert Question("", ("http://loinc.org", "other"), "2020-01-01").brute_force(everything) == set()


def test_references_inside_a_bundle_become_the_places_that_were_answered() -> None:
    observation = {
        "resourceType": "Observation",
        "code": {"coding": [{"system": LOINC[0], "code": LOINC[1]}]},
        "subject": {"reference": "urn:uuid:1"},
        "effectiveDateTime": "2020-01-01T23:30:00-05:00",
    }
    sent = {"entry": [{"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient"}}, {"resource": observation}]}
    places = ["Patient/7/_history/1", "Observation/8/_history/1"]
    answer = {"entry": [{"response": {"location": place}} for place in places]}
    kept = stored([(json.dumps(sent).encode(), json.dumps(answer).encode())])
    assert kept.places == ["Patient/7", "Observation/8"]
    (seen,) = kept.observations
    assert (seen.id, seen.subject, seen.day) == ("8", "Patient/7", "2020-01-02")
    assert json.loads(kept.templates[0])["subject"] == {"reference": "Patient/7"}
