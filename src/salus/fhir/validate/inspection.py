# SPDX-License-Identifier: Apache-2.0
"""The careful walk: what shows only when places are compared, a text is read, or a definition is looked up.

Rules: null alignment of primitive arrays (https://hl7.org/fhir/R4/json.html#primitive), numbers, per-1, ref-1, dom-3,
conditional references outside transactions, narrative and its links, extensions, attachments, codes. This walk knows
the type of every element. It stands any content: what the schema refuses, it passes over.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from salus.fhir.narrative import fault, identifiers, links
from salus.fhir.validate import elements, extensions, special
from salus.fhir.validate.bundles import Use, bundle_faults
from salus.fhir.validate.extensions import Spot
from salus.fhir.validate.finding import Finding, Severity
from salus.fhir.validate.members import Member, members
from salus.fhir.validate.places import known
from salus.fhir.validate.primitives import LARGEST_EXPONENT, WORDS
from salus.fhir.validate.profiles.run import Item, Run
from salus.fhir.validate.surroundings import PLAIN, Surroundings
from salus.fhir.validate.walk import absurd

Json = dict[str, Any]

_WHOLE: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
_LINKS: Final = frozenset({"canonical", "uri", "url"})
# Bundles in which a reference may be a search (https://hl7.org/fhir/R4/http.html#trules).
_CONDITIONAL: Final = frozenset({"transaction", "batch"})
_CODED: Final = frozenset({"Coding", "Quantity", "Age", "Count", "Distance", "Duration"})
_ANY: Final = frozenset({"Resource", "DomainResource"})


def inspect(resource: Json, surroundings: Surroundings = PLAIN, *, fits: bool = True) -> list[Finding]:
    """Everything of these kinds.

    Args:
        resource: a resource of a known type; its content may break the schema.
        fits: whether it does not. If it does, rules that read several places together are not asked.
    """
    *_, found = inspecting(resource, surroundings, fits=fits)
    return found


def inspecting(resource: Json, surroundings: Surroundings = PLAIN, *, fits: bool = True) -> Iterator[list[Finding]]:
    """As `inspect`, in pieces: gives the list after each entry of a Bundle, and at the end."""
    kind = resource["resourceType"]
    conditional = kind == "Bundle" and str(resource.get("type")) in _CONDITIONAL
    inspection = Inspection(surroundings, conditional=conditional, fits=fits)
    for _ in inspection.entries(resource) if kind == "Bundle" else ():
        yield inspection.found
    inspection.resource(resource, kind)
    inspection.hyperlinks()
    yield inspection.found


def references(resource: Json) -> list[Use]:
    """Every literal reference to another resource, with its place."""
    inspection = Inspection(PLAIN, conditional=True, fits=False)
    inspection.resource(resource, resource["resourceType"])
    return inspection.uses


class _Scope:
    """One resource with what it contains: where local references resolve."""

    def __init__(self) -> None:
        self.used: dict[
            str, list[tuple[str, tuple[str, ...]]]
        ] = {}  # local reference -> places, and their target types
        self.linked: set[str] = set()  # fragments in canonicals and URIs, which count as use but need not resolve
        self.to_container: list[str] = []  # places that refer to the container itself


class Inspection:
    """A walk over one resource and all it holds."""

    def __init__(self, surroundings: Surroundings, *, conditional: bool, fits: bool) -> None:
        self.surroundings = surroundings
        self.fits = fits
        self.conditional = conditional
        self.found: list[Finding] = []
        self.ids: set[str] = set()  # whatever a link in a narrative may point to
        self.links: list[tuple[str, str]] = []  # such links, with the place of the narrative
        self.base = ""  # `fullUrl` of the entry where the walk is
        self.uses: list[Use] = []  # references to other resources
        self.walked: Json | None = None  # the Bundle whose entries were walked already

    def report(self, code: str, place: str, words: str, severity: Severity = Severity.ERROR) -> None:
        """Note a finding; `words` are the rest of a sentence that starts with the place."""
        self.found.append(Finding(severity, code, f"`{place}` {words}.", place))

    def hyperlinks(self) -> None:
        """Links within narratives lead to something (https://hl7.org/fhir/R4/narrative.html#id)."""
        for target, place in self.links:
            if target not in self.ids:
                self.report("invalid", place, "has a link to a place that is not there")

    def entries(self, bundle: Json) -> Iterator[None]:
        """The entries of a Bundle, one after the other; the rest of it is walked as any resource."""
        member = members("Bundle")["entry"]
        spot, scope = Spot(member.type, "Bundle.entry", "Bundle.entry"), _Scope()
        entries = bundle.get("entry")
        for index, entry in enumerate(entries if type(entries) is list else []):
            self.value(entry, member, spot, f"Bundle.entry[{index}]", scope)
            yield
        self.walked = bundle

    def resource(self, resource: Json, place: str) -> None:
        """A resource that is not contained in another: it is its own scope."""
        scope = _Scope()
        kind = resource["resourceType"]
        self.node(resource, Spot(kind, kind, kind), place, scope)
        contained = resource.get("contained")
        items = contained if type(contained) is list else []
        ids: dict[str, str] = {}
        for index, item in enumerate(items):
            if type(item) is dict:
                self.contained(item, f"{place}.contained[{index}]", ids, scope)
        for local, places in scope.used.items():
            for where, targets in places:
                if local[1:] not in ids:
                    self.report("invariant", where, "points to a contained resource that is not there (ref-1)")
                elif targets and ids[local[1:]] not in targets:
                    self.report("structure", where, "points to a contained resource of a type that may not stand here")
        if kind == "Bundle" and self.fits:
            for code, where, words in bundle_faults(resource, place, self.uses):
                self.report(code, where, words)
        if kind in special.RULES and self.fits:
            for code, further, words in special.RULES[kind](resource, self.surroundings):
                self.report(code, place + further, words)

    def contained(self, item: Json, place: str, ids: dict[str, str], scope: _Scope) -> None:
        """dom-3: an id of its own, and something that refers to it."""
        identifier = item.get("id")
        if type(identifier) is not str or identifier in ids:
            self.report("invariant", place, "must have an id that no other contained resource has")
            return
        ids[identifier] = str(item.get("resourceType"))
        back = any(where.startswith(place + ".") for where in scope.to_container)
        if f"#{identifier}" not in {*scope.used, *scope.linked} and not back:
            self.report("invariant", place, "must be referred to from elsewhere in the resource (dom-3)")

    def node(self, node: Json, spot: Spot, place: str, scope: _Scope) -> None:
        """An object of a known type."""
        known_members = members(spot.type)
        if spot.type == "Bundle.entry":
            self.base = node["fullUrl"] if type(node.get("fullUrl")) is str else ""
        for name, value in node.items():
            member = known_members.get(name)
            if member is None:
                if name == "id" and type(value) is str:
                    self.ids.add(value)
                continue
            if name in ("extension", "modifierExtension"):
                self.extensions(value, spot, f"{place}.{name}", modifier=name != "extension")
            inner = f"{place}.{member.place}"
            step = member.field.name
            stands_for = known_members[name[1:]].type if member.sibling else ""
            below = Spot(member.type, f"{spot.type}.{step}", f"{spot.route}.{step}", stands_for)
            if member.field.many:
                if type(value) is list and not (name == "entry" and node is self.walked):
                    self.array(node, member, value, below, inner, scope)
            else:
                self.value(value, member, below, inner, scope)
        self.by_type(node, spot.type, place, scope)

    def by_type(self, node: Json, kind: str, place: str, scope: _Scope) -> None:
        """What the data type as a whole must fulfil."""
        if kind in _CODED:
            wrong = self.surroundings.codes.fault(node)
            if wrong is not None:
                self.report(wrong[1], place, wrong[2], wrong[0])
        if kind == "Identifier" and elements.unlike_its_system(node):
            severity = Severity.ERROR if self.surroundings.thorough else Severity.WARNING
            self.report("value", f"{place}.value", "must be an absolute URI, because of its system", severity)
        if kind in elements.RULES:
            for code, further, words in elements.RULES[kind](node):
                self.report(code, place + further, words)

    def extensions(self, items: Any, spot: Spot, place: str, *, modifier: bool) -> None:
        """The extensions of one element, by their definitions."""
        for index, item in enumerate(items if type(items) is list else []):
            url = item.get("url") if type(item) is dict else None
            if not extensions.absolute(url):
                continue
            where = f"{place}[{index}]"
            definition = self.surroundings.knowledge.definition(url)
            if definition is None or definition.get("type") != "Extension":
                strict, examples = self.surroundings.strict_extensions, self.surroundings.strict_examples
                severity, code, words = extensions.unknown_fault(
                    url, modifier=modifier, strict=strict, examples=examples
                )
                self.report(code, where, words, severity)
                continue
            for severity, code, words in extensions.context_faults(definition, spot, modifier=modifier):
                self.report(code, where, words, severity)
            if self.fits:
                self.content(url, item, where)

    def content(self, url: str, item: Json, place: str) -> None:
        """What an extension holds, by its definition."""
        given = self.surroundings
        run = Run(item, lambda _literal, _local: None, given.terms.member, given.book)
        given.book.conforms(run, Item("Extension", item, None, (None, place, -1)), url)
        self.found += run.found

    def array(self, node: Json, member: Member, values: list[Any], spot: Spot, place: str, scope: _Scope) -> None:
        """The items of an element that repeats."""
        partner = node.get(member.name[1:] if member.sibling else "_" + member.name)
        others = partner if type(partner) is list else []
        for index, value in enumerate(values):
            if value is not None:
                self.value(value, member, spot, f"{place}[{index}]", scope)
            elif (member.primitive or member.sibling) and (index >= len(others) or others[index] is None):
                self.report("structure", f"{place}[{index}]", "is null here and has nothing in its sibling array")

    def value(self, value: Any, member: Member, spot: Spot, place: str, scope: _Scope) -> None:
        """One value of an element."""
        kind = type(value)
        if kind is dict:
            if member.type in _ANY:
                self.nested(value, member, place, scope)
            elif member.type == "Extension":
                self.node(value, spot._replace(extension=str(value.get("url"))), place, scope)
            elif not member.primitive:
                self.node(value, spot, place, scope)
                if member.type == "Reference":
                    self.reference(value, member.field.targets, f"{place}.reference", scope)
        elif kind is Decimal:
            if member.type in _WHOLE:
                self.report("value", place, WORDS[member.type])
            elif absurd(value):
                self.report("value", place, f"has too many digits, or an exponent beyond {LARGEST_EXPONENT}")
        elif kind is str:
            if member.name == "id":
                self.ids.add(value)
            if member.type == "xhtml":
                self.narrative(value, place)
            elif member.type == "markdown":
                if elements.holds_html(value):
                    severity = Severity.ERROR if self.surroundings.markdown_without_html else Severity.WARNING
                    self.report("invalid", place, "has HTML in its markdown, where R4 has none", severity)
            elif member.type in _LINKS and value[:1] == "#":
                scope.linked.add(value)

    def narrative(self, div: str, place: str) -> None:
        """The text of a narrative, and what it links to and may be linked by."""
        wrong = fault(div)
        if wrong:
            self.report("invariant", place, wrong)
            return
        self.ids.update(identifiers(div))
        self.links += [(target, place) for target in links(div)]

    def nested(self, value: Json, member: Member, place: str, scope: _Scope) -> None:
        """A resource inside another."""
        kind = value.get("resourceType")
        if type(kind) is not str or not known(kind):
            return
        # So the publisher of HL7's guides names the parts of its narratives.
        self.ids.add(f"{kind}_{value.get('id')}")
        if member.field.name == "contained":
            self.node(value, Spot(kind, kind, kind), place, scope)
        else:
            self.resource(value, place)

    def reference(self, node: Json, targets: tuple[str, ...], place: str, scope: _Scope) -> None:
        """The literal of a reference, and what it says about its target."""
        literal, stated = node.get("reference"), node.get("type")
        if type(literal) is not str:
            return
        if literal == "#":
            scope.to_container.append(place)
        elif literal[:1] == "#":
            scope.used.setdefault(literal, []).append((place, targets))
        elif "?" in literal and "://" not in literal and not self.conditional:
            self.report("value", place, "may be a search only within a transaction or batch")
        else:
            self.uses.append(Use(literal, place, targets, self.base))
            kind = literal.partition("/")[0]
            if known(kind) and type(stated) is str and stated != kind:
                self.report(
                    "structure", f"{place.removesuffix('reference')}type", "is not the type that the reference names"
                )
