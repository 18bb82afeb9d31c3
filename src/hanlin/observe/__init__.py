"""What an operator sees: structured logs and metrics. Knows no other room and no database.

(The audit trail is rows in the act's own transaction, so it lives in `hanlin.storage.audit`.)
"""
