"""Stand-ins that behave like the real thing, for tests."""
