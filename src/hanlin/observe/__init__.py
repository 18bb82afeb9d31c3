"""What an operator reads: structured logs, and what machine this is. Knows no other room and no database.

(The audit trail is rows in the act's own transaction, so it lives in `hanlin.storage.audit`; metrics are counted where
calls pass, in `hanlin.gateway.metrics`.)
"""
