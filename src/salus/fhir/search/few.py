# SPDX-License-Identifier: Apache-2.0
"""Words that say as much as a code of few values, and are therefore not in the index.

Gender, status, category and the like have no tokens of their own (`spots.indexed`). Their displays and a narrative
say the same in words (`Active`, `Vital Signs`, `female`): a token of such a word, in half of all records, would be told
from its frequency alone. A question for one of these words is answered by opening the candidates. The list is closed
and known to both sides, so a search misses nothing.

English only: displays in other languages, or of a clinic's own codes, are words like others.
"""

from __future__ import annotations

_PEOPLE = """
    female male other unknown woman women man men girl boy lady gentleman she he her his him hers mr mrs ms miss
    mother father daughter son wife husband
"""  # gender, and how a text speaks of somebody
_STATES = """
    active inactive recurrence relapse remission resolved confirmed unconfirmed provisional differential refuted
    entered error registered preliminary final amended corrected cancelled canceled completed finished planned
    arrived triaged onleave draft hold held stopped revoked ended current superseded proposed accepted rejected
    retired available unavailable suspended pending started progress billed billable issued balanced booked waitlist
    fulfilled deceased alive dead died
"""  # status and verification
_URGENCIES = """
    routine urgent asap stat elective mild moderate severe high low normal proposal plan order original reflex
    filler instance option
"""  # priority, severity, criticality, intent
_KINDS = """
    vital signs laboratory lab imaging exam examination procedure survey therapy activity social history problem
    list item encounter diagnosis ambulatory inpatient outpatient emergency virtual visit office home field acute
    food medication environment biologic allergy intolerance clinical note professional institutional pharmacy oral
    vision community discharge assessment
"""  # category and class
_CIRCUMSTANCES = """
    married never single divorced widowed separated annulled domestic partner polygamous english spanish french
    german italian portuguese chinese arabic russian turkish polish
"""  # marital status, language

FEW_WORDS = frozenset(" ".join((_PEOPLE, _STATES, _URGENCIES, _KINDS, _CIRCUMSTANCES)).split())
"""Folded words."""
