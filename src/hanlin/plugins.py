"""The typed plugin registry: built-ins found by folder, outsiders by entry point, both through one door.

    TASKS: PluginRegistry[Task] = PluginRegistry("task", package="hanlin.tasks", group="hanlin.tasks")

    @TASKS.register("text-classification")
    class TextClassification: ...

Knows nothing of what the plugins do; naming them imports their files, so heavy imports belong inside functions.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from hanlin.errors import Conflict, InvalidInput
from hanlin.types import shorten

T = TypeVar("T")


class PluginRegistry(Generic[T]):
    """Plugins of one kind by name.

    Args:
        kind: the word used in messages, such as `task`.
        package: the folder whose modules register the built-ins.
        group: entry-point group for outsiders; each entry point names a module or object whose import registers.
        rename: our own name for one that others have; asked only for what is not registered.
    """

    def __init__(self, kind: str, *, package: str, group: str, rename: Callable[[str], str] = str) -> None:
        self.kind = kind
        self._package = package
        self._group = group
        self._rename = rename
        self._found: dict[str, T] = {}
        self._is_complete = False
        self._lock = threading.RLock()

    def register(self, name: str) -> Callable[[Callable[[], T]], Callable[[], T]]:
        """Decorator for a class or factory without arguments; its instance becomes the plugin. Raises Conflict."""

        def add(factory: Callable[[], T]) -> Callable[[], T]:
            with self._lock:
                if name in self._found:
                    raise Conflict("duplicate_plugin", kind=self.kind, name=name)
                self._found[name] = factory()
            return factory

        return add

    def get(self, name: str) -> T:
        """The plugin called `name`. Raises InvalidInput (`unknown_plugin`) with the choices."""
        self._discover()
        try:
            return self._found[name if name in self._found else self._rename(name)]
        except KeyError:
            raise InvalidInput("unknown_plugin", kind=self.kind, name=shorten(name), choices=", ".join(self.names())) from None

    def names(self) -> list[str]:
        """All names, sorted."""
        self._discover()
        return sorted(self._found)

    def _discover(self) -> None:
        with self._lock:
            if self._is_complete:
                return
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            for point in entry_points(group=self._group):
                point.load()
            self._is_complete = True
