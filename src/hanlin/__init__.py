"""Hanlin: from labelled text to a measured, certified language service."""

from __future__ import annotations

__version__ = "0.1.0"
