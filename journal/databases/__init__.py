"""What the journal's code needs of a database: SQLite and PostgreSQL, their connections, tables, turns and faults."""
