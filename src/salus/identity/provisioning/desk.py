# SPDX-License-Identifier: Apache-2.0
"""Everything that provisioning works with, in one hand."""

from __future__ import annotations

from dataclasses import dataclass

from salus.identity.accounts.users import KeysOf, Users
from salus.identity.provisioning.groups import Groups
from salus.identity.provisioning.mappings import Mappings
from salus.identity.provisioning.people import People, Standing
from salus.kernel.clock import Clock
from salus.kernel.db import Connection


@dataclass(frozen=True, slots=True)
class Desk:
    """People, groups, and what groups stand for."""

    people: People
    groups: Groups
    mappings: Mappings


def desk(db: Connection, keys_of: KeysOf, users: Users, standing: Standing, clock: Clock) -> Desk:
    """Wire it; arguments as of the classes."""
    people, mappings = People(db, keys_of, users, standing, clock), Mappings(db, keys_of)
    return Desk(people, Groups(db, keys_of, people, mappings, clock), mappings)
