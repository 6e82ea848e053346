# SPDX-License-Identifier: Apache-2.0
"""The relying party over the desk of `identity_desk`, with two identity providers outside."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from identity_desk import Desk
from tests.support.identity_provider import IdentityProvider, Outside

from salus.identity.federation.links import Links
from salus.identity.federation.logout import Logout
from salus.identity.federation.provider import Provider
from salus.identity.federation.providers import Providers
from salus.identity.federation.relying_party import Departure, Identified, RelyingParty
from salus.identity.federation.store import prepare
from salus.identity.federation.upstream import Upstream
from salus.kernel.errors import Problem

HOME = "https://salus.example"


@dataclass
class Federation:
    """What a test needs; `hospital` and `rival` are outside, registered under these names."""

    desk: Desk
    hospital: IdentityProvider
    rival: IdentityProvider
    providers: Providers
    links: Links
    party: RelyingParty
    logout: Logout
    upstream: Upstream

    def register(self, id_: str = "hospital", **more: Any) -> Provider:
        issuer = {"hospital": self.hospital, "rival": self.rival}[id_].issuer
        details = {"title": id_.title(), "client_id": "salus", "secret": "s3cret", **more}
        provider = Provider(id=id_, issuer=issuer, **details)
        self.desk.do(lambda unit: self.providers.add(unit, "default", provider))
        return self.providers.known("default", id_)

    def go(self, id_: str = "hospital", **more: Any) -> Departure:
        return asyncio.run(self.party.begin("default", id_, **more))

    def back(
        self, answer: list[tuple[str, str]], cookie: str, *, id_: str = "hospital", tenant: str = "default"
    ) -> Identified | Problem:
        """What comes of an answer: somebody, or the refusal."""
        try:
            returned = self.desk.do(lambda unit: self.party.returned(unit, tenant, id_, answer, cookie))
            return asyncio.run(self.party.identify(tenant, returned))  # type: ignore[arg-type]
        except Problem as problem:
            return problem

    def whole(self, **more: Any) -> Identified | Problem:
        """There and back at the hospital."""
        left = self.go(**more)
        return self.back(self.hospital.approve(left.address), left.cookie)


def federation(desk: Desk) -> Federation:
    """Two providers outside, none of them registered yet."""
    hospital = IdentityProvider("https://id.hospital.example", desk.clock)
    rival = IdentityProvider("https://id.rival.example", desk.clock)
    prepare(desk._writing)
    keys_of, db = desk.keyring.tenant, desk.db
    providers = Providers(db, keys_of, desk.clock)
    upstream = Upstream(Outside(hospital, rival), desk.clock)
    links = Links(db, keys_of, desk.clock)
    return Federation(
        desk,
        hospital,
        rival,
        providers,
        links,
        RelyingParty(providers, upstream, keys_of, lambda _: HOME, desk.clock),
        Logout(db, providers, links, upstream, keys_of, desk.clock),
        upstream,
    )
