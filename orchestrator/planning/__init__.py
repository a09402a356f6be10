"""Pure decisions: facts, recipe and store content in, a plan out."""
