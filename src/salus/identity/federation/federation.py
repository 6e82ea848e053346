# SPDX-License-Identifier: Apache-2.0
"""Everything that signing in elsewhere works with, in one hand."""

from __future__ import annotations

from dataclasses import dataclass

from salus.identity.federation.links import Links
from salus.identity.federation.logout import Logout
from salus.identity.federation.providers import Providers
from salus.identity.federation.relying_party import RelyingParty


@dataclass(frozen=True, slots=True)
class Federation:
    """Identity providers, who there is who here, the way there and back, and the end of it.

    Attributes:
        providers: those that are registered.
        links: whose account belongs to whom there.
        party: sends people there, and judges what comes back.
        logout: sessions that a provider ends.
    """

    providers: Providers
    links: Links
    party: RelyingParty
    logout: Logout
