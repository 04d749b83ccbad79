"""Conversations kept on disk, each visitor's own."""
