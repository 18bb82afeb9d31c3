"""What may be asked of the platform: plain functions `(platform, principal, …)` with their scopes checked inside.

Gateway, console and jobs all come through here. Knows no wire format.
"""
