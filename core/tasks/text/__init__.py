"""What can be asked of a text; one module a task."""
