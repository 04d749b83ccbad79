"""Many users, one machine: who computes when, and what is computed together."""
