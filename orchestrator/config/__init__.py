"""Text into model: hostfiles, filters, recipes, the op catalogue, settings."""
