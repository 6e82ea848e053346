# SPDX-License-Identifier: Apache-2.0
"""One stage for all browser tests; their bodies run in its thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.web.browser.stage import Stage, Visitor, skip_unless_possible

Visiting = Callable[..., Visitor]


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, assets: None) -> Iterator[Stage]:
    """A served Salus and a Chromium."""
    skip_unless_possible()
    made = Stage(tmp_path_factory.mktemp("stage"))
    yield made
    made.close()


@pytest.fixture
def visiting(stage: Stage) -> Iterator[Visiting]:
    """Makes browser profiles; whatever they do, nothing is loaded from elsewhere or against the policy."""
    made: list[Visitor] = []

    def visitor(**how: Any) -> Visitor:
        made.append(Visitor(stage, **how))
        return made[-1]

    yield visitor
    for each in made:
        stage.play(each.close)
    assert [said for each in made for said in each.violations] == []
    assert [asked for each in made for asked in each.outside] == []


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run the body of a browser test in the browser's thread."""
    stage = pyfuncitem.funcargs.get("stage") or pyfuncitem.funcargs.get("visiting")
    if stage is None:
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    owner = pyfuncitem.funcargs.get("stage") or pyfuncitem._request.getfixturevalue("stage")
    owner.play(lambda: pyfuncitem.obj(**arguments))
    return True
