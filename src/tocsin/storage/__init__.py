"""Where state lives: one transaction type over SQLite and PostgreSQL, timers, migrations."""
