"""Long work on disk: a job is a folder."""
