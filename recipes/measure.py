"""Measures a saved starter again, without training: `python -m recipes.measure NAME --data DATA [--write]`."""

from recipes._run import arguments
from recipes.all import NAMES, measure_again

if __name__ == "__main__":
    options = arguments("Measure a saved starter.", NAMES)
    measure_again(options.name, options.data, options.starters, write=options.write)
