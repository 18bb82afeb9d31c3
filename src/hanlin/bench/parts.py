"""Where the time of a request goes: what the server says of itself, and what is left for the ways between.

client ──────── network ─────────┐                      exchange = what the caller sees
  gateway: parse ─ hop ┐         │ total                (Server-Timing `total`)
    worker: encode queue engine decode write
"""

from __future__ import annotations

# In the order in which a request meets them.
NAMES = ("wait", "network", "parse", "hop", "encode", "queue", "engine", "decode", "write")
_WORKER = ("encode", "queue", "engine", "decode", "write")


class Parts:
    """Sums up good answers.

    `wait`: for a free connection (open loop); `hop`: frames between gateway and worker, and waits for an event loop; `network`: the
    connection, the HTTP server's own part, and the generator's.
    """

    def __init__(self) -> None:
        self._sums_s = dict.fromkeys(NAMES, 0.0)
        self._count = 0

    def add(self, header: bytes, *, waited_s: float, exchange_s: float) -> None:
        """Take in one answer's Server-Timing; one without times counts as network only."""
        said = {name: seconds for name, seconds in map(_read, header.split(b",")) if name}
        total_s = said.get("total", sum(said.get(name, 0.0) for name in _WORKER))
        inside_s = sum(said.get(name, 0.0) for name in ("parse", *_WORKER))
        found = {name: said.get(name, 0.0) for name in ("parse", *_WORKER)}
        found |= {"wait": waited_s, "hop": max(0.0, total_s - inside_s), "network": max(0.0, exchange_s - total_s)}
        for name, seconds in found.items():
            self._sums_s[name] += seconds
        self._count += 1

    def means_ms(self) -> dict[str, float]:
        """Mean milliseconds of each part."""
        return {name: round(1000 * self._sums_s[name] / self._count, 4) if self._count else 0.0 for name in NAMES}


def _read(part: bytes) -> tuple[str, float]:
    name, _, value = part.strip().partition(b";dur=")
    try:
        return name.decode("ascii", "replace"), float(value) / 1000
    except ValueError:
        return "", 0.0
