"""Serving: worker processes that hold loaded variants, the batcher in them, and the pool, router and reconciler around them.

Knows artifacts as local folders only: never the registry, the database or the web. Importing it loads no engine library.
"""
