"""Questions over a schema of tables: what queries there are, how they are written token by token, and when two mean the same."""
