"""Measures a saved starter again, without training: `python -m recipes.measure NAME --data DATA`."""

from recipes._run import arguments, measure

if __name__ == "__main__":
    options = arguments("Measure a saved starter.", named=True)
    measure(options.name, options.data, options.starters)
