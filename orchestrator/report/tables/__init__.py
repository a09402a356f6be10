"""Values as tables: pure functions that return something rich can print, one module a noun."""
