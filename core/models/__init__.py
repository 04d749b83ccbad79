"""What is in memory: files become models, which are borrowed, counted and let go."""
