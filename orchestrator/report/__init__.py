"""Everything that a person or a program sees: events drawn as they come, tables, and JSON documents."""
