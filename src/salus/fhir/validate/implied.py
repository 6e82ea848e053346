# SPDX-License-Identifier: Apache-2.0
"""Profiles that a resource is to fulfil although it declares none.

R4 asks of whoever records a vital sign that the profile for it be kept, whatever is declared
(https://hl7.org/fhir/R4/observation-vitalsigns.html). R4 itself lists one code for each. The further codes of LOINC and
SNOMED CT for the same measurements are those by which HL7's validator recognises them.

An ImplementationGuide may say in `global` what every resource of a type has to fulfil
(https://hl7.org/fhir/R4/implementationguide-definitions.html#ImplementationGuide.global); `Knowledge.globals` has that.
"""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

_PREFIX: Final = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEMS: Final = ("http://loinc.org", "http://snomed.info/sct")

# Profile, codes of LOINC, codes of SNOMED CT. A panel goes before what it may hold.
_VITAL_SIGNS: Final = (
    ("vitalspanel", "85353-1", "46680005"),
    (
        "resprate",
        "9279-1 11291-2 19840-8 33438-3 76170-0 76171-8 76172-6 76270-8",
        "86290005 271306003 271625008",
    ),
    (
        "heartrate",
        "8867-4 8886-4 8889-8 8890-6 8891-4 8892-2 8893-0 11328-2 40443-4 55425-3 60978-4 68999-2 69000-8 73795-7 "
        "73799-9 76476-1 76477-9",
        "249043002 251670001 399017001 429525003 429614003 444981005",
    ),
    (
        "oxygensat",
        "2708-6 2709-4 2710-2 2713-6 19224-5 20564-1 51733-4 59408-5 59417-6 89276-0 97549-0",
        "431314004 442476006",
    ),
    (
        "bodytemp",
        "8310-5 8309-7 8328-7 8329-5 8330-3 8331-1 8332-9 8333-7 8334-5 60834-9 60835-6 60836-4 60838-0 60955-2 "
        "61009-7 75539-7 75987-8 76010-8 76011-6 76278-1 91371-5 98657-0 98663-8",
        "276885007 300076005 307047009 364246006 386725007 415882003 415929009 415945006 415974002 431598003 698831002 "
        "698832009 708499008 1222808002",
    ),
    (
        "bodyheight",
        "8302-2 3137-7 3138-5 8306-3 8308-9",
        "50373000 1153637007 1162392001 1162417005 1162418000 1162419008 1230278008",
    ),
    ("headcircum", "9843-4 8287-5", "169876006 363811000 363812007 1269262007"),
    (
        "bodyweight",
        "29463-7 3141-9 3142-7 8350-1 8351-9 75292-3 79348-9",
        "424927000 425024002 735395000 784399000 1162415002 1162416001",
    ),
    ("bmi", "39156-5 89270-3", "60621009"),
    (
        "bp",
        "85354-9 8459-0 8480-6 35094-2 55284-4 76534-7",
        "163033001 163035008 251076008 271649006 271650006 386534000 386536003 399304008 407554009 407556006 716579001",
    ),
)
_RANKED: Final = {
    (system, code): (rank, name)
    for rank, (name, *lists) in enumerate(_VITAL_SIGNS)
    for system, codes in zip(_SYSTEMS, lists, strict=True)
    for code in codes.split()
}


def vital_sign(resource: Json) -> str:
    """Canonical of R4's profile for the vital sign that an Observation is by its code; "" for anything else.

    A code of LOINC counts before one of SNOMED CT.
    """
    code = resource.get("code") if resource.get("resourceType") == "Observation" else None
    codings = code.get("coding") if type(code) is dict else None
    pairs = [
        (one.get("system"), one.get("code")) for one in (codings if type(codings) is list else ()) if type(one) is dict
    ]
    for system in _SYSTEMS:
        found = [_RANKED[pair] for pair in pairs if pair[0] == system and type(pair[1]) is str and pair in _RANKED]
        if found:
            return _PREFIX + min(found)[1]
    return ""
