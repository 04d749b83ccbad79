"""The Hugging Face Hub: what repositories hold, which of their files loading needs, and the way into the cache."""
