"""Blob stores, one file a URL scheme."""
