"""Measures an endpoint from outside: load, latency histograms, the saturation curve, and where the time goes.

A client like any other: it needs no server package, and knows of the server what its headers say.
"""
