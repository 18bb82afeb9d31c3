"""The roof: names the concrete classes, wires them, and runs the processes of one home.

    up ─ supervisor ─┬─ gateway       answers HTTP on the supervisor's socket
                     ├─ reconciler    keeps worker processes equal to the declared deployments
                     └─ runner        claims jobs; each runs in a process of its own

Importing this package is cheap: the processes import what they need.
"""

from __future__ import annotations

from hanlin.app.up import Started, up
from hanlin.app.wiring import open_platform

__all__ = ["Started", "open_platform", "up"]
