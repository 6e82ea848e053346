# SPDX-License-Identifier: Apache-2.0
"""Who the patients are: age by a pyramid, sex, name, build, habits, and the Patient resource.

Names are drawn from Faker's lists with our own seeded random, so that nothing depends on shared state. One
person in twenty (`has_secret`) is an adult whose chart will hold a restricted note. Knows nothing of illness.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from random import Random

from faker.providers.person.en_US import Provider as Names

from salus.synthetic.terms import ORGANIZATION, Resource, concept, reference, synthetic_meta, terminology

MRN_SYSTEM = "https://clinic.example.org/mrn"
"""System of the medical record numbers."""

YEAR = 365.25
"""Days in a year."""

# (first year of age, width in years, share): roughly the United States, with nobody above 94
_PYRAMID = ((0, 5, 6), (5, 13, 16), (18, 17, 23), (35, 15, 19), (50, 15, 18), (65, 15, 13), (80, 15, 5))
_YOUNGEST_DAYS = 130  # old enough for a first check-up in the past

_STREETS = (
    "Alder",
    "Birchwood",
    "Cedar Hill",
    "Elm",
    "Harbor",
    "Juniper",
    "Lakeview",
    "Maple",
    "Old Mill",
    "Walnut",
)
_SUFFIXES = ("Avenue", "Court", "Drive", "Lane", "Road", "Street")
_TOWNS = (
    ("Northfield Heights", "01999"),
    ("Port Salus", "01998"),
    ("Easton Mills", "01997"),
    ("Wexley", "01996"),
)

_MRN_TYPE = terminology("v2-0203", "MR", "Medical record number")
_NEXT_OF_KIN = terminology("v2-0131", "N", "Next-of-Kin")
_MARRIED = terminology("v3-MaritalStatus", "M", "Married")
_NEVER_MARRIED = terminology("v3-MaritalStatus", "S", "Never Married")
_DIVORCED = terminology("v3-MaritalStatus", "D", "Divorced")
_WIDOWED = terminology("v3-MaritalStatus", "W", "Widowed")


class _Pool:
    """Names with their frequency, ready for weighted drawing."""

    __slots__ = ("names", "weights")

    def __init__(self, table: dict[str, float]) -> None:
        self.names = tuple(table)
        self.weights = tuple(accumulate(table.values()))

    def draw(self, random: Random) -> str:
        return random.choices(self.names, cum_weights=self.weights)[0]


_GIVEN = {"female": _Pool(dict(Names.first_names_female)), "male": _Pool(dict(Names.first_names_male))}
_FAMILY = _Pool(dict(Names.last_names))


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person.

    Attributes:
        id: logical id of the Patient and prefix of all ids in the chart.
        number: the person's number in the population, from 0.
        sex: administrative gender, `female` or `male`.
        birth: date of birth.
        given, middle, family: name.
        stature: body height relative to the median of age and sex, about 0.9 to 1.1.
        build: body mass index (kg/m2) that the person tends to as an adult.
        smoking: `never`, `former` or `current`.
        physician: id of the Practitioner who looks after the person.
        has_secret: the chart will hold a restricted note.
    """

    id: str
    number: int
    sex: str
    birth: date
    given: str
    middle: str
    family: str
    stature: float
    build: float
    smoking: str
    physician: str
    has_secret: bool

    def age(self, on: date) -> float:
        """Age in years, with fraction."""
        return (on - self.birth).days / YEAR

    @property
    def full_name(self) -> str:
        """Given and family name as people write it."""
        return f"{self.given} {self.family}"


def invent(random: Random, seed: int, number: int, today: date) -> Person:
    """Invent person `number` of the population `seed`, alive on `today` and at least four months old."""
    has_secret = number % 20 == 7
    bands = _PYRAMID[2:] if has_secret else _PYRAMID
    first, width, _ = random.choices(bands, weights=[band[2] for band in bands])[0]
    days = max(_YOUNGEST_DAYS, int((first + random.random() * width) * YEAR) + 1)
    sex = random.choice(("female", "male"))
    adult = days >= 18 * YEAR
    smoking = random.choices(("never", "former", "current"), weights=(62, 24, 14))[0] if adult else "never"
    if days < 18 * YEAR:
        physician = "dr-mei-tanaka"
    else:
        physician = random.choice(("dr-amara-okafor", "dr-jonas-lindqvist"))
    given = _GIVEN[sex].draw(random)
    return Person(
        id=f"pt-{seed}-{number}",
        number=number,
        sex=sex,
        birth=today - timedelta(days=days),
        given=given,
        middle=_GIVEN[sex].draw(random)[0],
        family=_FAMILY.draw(random),
        stature=min(1.11, max(0.89, random.gauss(1.0, 0.038))),
        build=min(44.0, max(18.8, random.gauss(27.3, 4.8))),
        smoking=smoking,
        physician=physician,
        has_secret=has_secret,
    )


def patient_resource(person: Person, random: Random, today: date) -> Resource:
    """Write the Patient: record number, contact, language, physician.

    https://hl7.org/fhir/R4/patient.html
    """
    adult = person.age(today) >= 18
    town, code = random.choice(_TOWNS)
    mailbox = f"{person.given}.{person.family}.{person.number}".lower().replace(" ", "").replace("'", "")
    phone = f"(617) 555-01{random.randrange(100):02d}"
    resource: Resource = {
        "resourceType": "Patient",
        "id": person.id,
        "meta": synthetic_meta(),
        "identifier": [
            {
                "use": "usual",
                "type": concept(_MRN_TYPE),
                "system": MRN_SYSTEM,
                "value": f"MRN{1_000_000 + person.number}",
            }
        ],
        "active": True,
        "name": [{"use": "official", "family": person.family, "given": [person.given, f"{person.middle}."]}],
        "telecom": [{"system": "phone", "value": phone, "use": "home"}],
        "gender": person.sex,
        "birthDate": person.birth.isoformat(),
        "address": [
            {
                "use": "home",
                "line": [f"{random.randrange(1, 980)} {random.choice(_STREETS)} {random.choice(_SUFFIXES)}"],
                "city": town,
                "state": "MA",
                "postalCode": code,
                "country": "US",
            }
        ],
        "generalPractitioner": [reference(f"Practitioner/{person.physician}")],
        "managingOrganization": reference(ORGANIZATION),
    }
    language = "es" if random.random() < 0.1 else "en"
    name = "Spanish" if language == "es" else "English"
    resource["communication"] = [
        {
            "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": language, "display": name}]},
            "preferred": True,
        }
    ]
    if adult:
        resource["telecom"].append({"system": "email", "value": f"{mailbox}@example.org", "use": "home"})
        old = person.age(today) > 70
        statuses = (_MARRIED, _NEVER_MARRIED, _DIVORCED, _WIDOWED)
        weights = (50, 10, 12, 28) if old else (48, 38, 12, 2)
        resource["maritalStatus"] = concept(random.choices(statuses, weights=weights)[0])
    else:
        parent = _GIVEN[random.choice(("female", "male"))].draw(random)
        resource["contact"] = [
            {
                "relationship": [concept(_NEXT_OF_KIN)],
                "name": {"family": person.family, "given": [parent]},
                "telecom": [{"system": "phone", "value": phone, "use": "mobile"}],
            }
        ]
    return resource
