"""Pictures kept on disk, each with its recipe inside."""
