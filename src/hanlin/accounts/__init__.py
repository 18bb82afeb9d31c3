"""Teams and API keys: who may do what. Knows no HTTP and no model."""

from hanlin.accounts.service import Accounts
from hanlin.accounts.values import Key

__all__ = ["Accounts", "Key"]
