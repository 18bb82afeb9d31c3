"""Blobs by digest, artifact manifests, resumable uploads, and the database: tables, migrations, sessions.

It knows bytes and rows, not what a model or a job means.
"""
