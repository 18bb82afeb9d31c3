"""The audit trail: one row for every act on keys, versions, aliases and deployments, in the act's own transaction."""

from __future__ import annotations

from sqlalchemy.orm import Session

from hanlin.storage.tables import AuditRow
from hanlin.types import utc_now


def append_audit(session: Session, *, team_id: str, actor: str, action: str, subject: str) -> None:
    """Adds a row; it is kept exactly when the act is.

    Args:
        session: the transaction of the act.
        team_id: whose thing it is.
        actor: a key id, or `system`.
        action: such as `key.revoke` or `version.publish`.
        subject: such as `sentiment-zh:3`; never a secret.
    """
    session.add(AuditRow(team_id=team_id, actor=actor, action=action, subject=subject[:255], created_at=utc_now()))
