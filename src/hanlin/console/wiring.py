"""Puts the console on a platform: the one place where it learns what stands behind it."""
