"""Datasets and models by name: immutable versions, aliases, variants, certificates, lineage, cards.

It keeps records and bytes; it never loads a model.
"""

from hanlin.registry.service import Registry

__all__ = ["Registry"]
