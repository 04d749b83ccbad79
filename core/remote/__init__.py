"""Models on other machines: their names, how they are talked to, and what goes wrong on the way."""
