"""How Atelier's starters are made: one runnable module per starter, all from the same small base model."""
