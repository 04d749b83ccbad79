"""From checked rows to token ids, and which of them carry loss."""
