"""A browser that may speak to nobody but a platform small enough to know by heart."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient
from tests.console.fake_port import KEY, FakePort

from hanlin.console.application import create_application


@pytest.fixture
def port() -> FakePort:
    return FakePort()


CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


class Visitor(TestClient):
    """Somebody with a browser and, before `sign_in`, no key."""

    def token(self, path: str = "/") -> str:
        """The form token that a page carries."""
        found = CSRF.search(self.get(path).text)
        assert found
        return found[1]

    def sign_in(self, key: str = KEY):
        return self.post("/console/login", data={"csrf": self.token("/console/login"), "key": key, "next": "/console/jobs"})


@pytest.fixture
def make_visitor(port: FakePort) -> Callable[..., Visitor]:
    """Several of them at one console."""

    def make(scheme: str = "http") -> Visitor:
        return Visitor(create_application(port, secret=b"s" * 32), base_url=f"{scheme}://console.test", follow_redirects=False)

    return make


@pytest.fixture
def visitor(make_visitor: Callable[..., Visitor]) -> Visitor:
    return make_visitor()


@pytest.fixture
def member(visitor: Visitor) -> Visitor:
    """Somebody who has signed in."""
    assert visitor.sign_in().status_code == 303
    return visitor
