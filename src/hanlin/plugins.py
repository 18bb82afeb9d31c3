"""The typed plugin registry: built-ins found by folder, outsiders by entry point, both through one door.

    TASKS: PluginRegistry[Task] = PluginRegistry("task", package="hanlin.tasks", group="hanlin.tasks")

    @TASKS.register("text-classification")
    class TextClassification: ...

Knows nothing of what the plugins do; naming them imports their files, so heavy imports belong inside functions. Who asks for one of ours
by its name has that file alone imported, where it is called like the plugin: a worker has one task and one engine.
"""

from __future__ import annotations

import importlib
import importlib.util
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
        suffix: what files of plugins may have behind the plugin's name.
    """

    def __init__(self, kind: str, *, package: str, group: str, rename: Callable[[str], str] = str, suffix: str = "") -> None:
        self.kind = kind
        self._package = package
        self._group = group
        self._rename = rename
        self._suffix = suffix
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
        try:
            return self._found[name if name in self else self._rename(name)]
        except KeyError:
            raise InvalidInput("unknown_plugin", kind=self.kind, name=shorten(name), choices=", ".join(self.names())) from None

    def __contains__(self, name: str) -> bool:
        """Whether there is a plugin called `name`."""
        with self._lock:
            if name not in self._found and not self._is_complete:
                self._load_file_of(name)
            if name not in self._found:
                self._discover()
            return name in self._found

    def names(self) -> list[str]:
        """All names, sorted."""
        self._discover()
        return sorted(self._found)

    def _load_file_of(self, name: str) -> None:
        """Our file that is called like the plugin, if there is one; what it imports of the package comes along."""
        stem = name.replace("-", "_")
        for file in dict.fromkeys((stem, f"{stem}{self._suffix}")):
            module = f"{self._package}.{file}"
            if file.isidentifier() and importlib.util.find_spec(module) is not None:
                importlib.import_module(module)

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
