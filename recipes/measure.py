"""Measures a saved starter again, without training: `python -m recipes.measure NAME --data DATA [--write]`."""

import json

from recipes._run import arguments, measure, record

if __name__ == "__main__":
    options = arguments("Measure a saved starter.", named=True)
    findings = measure(options.name, options.data, options.starters)
    if options.write:
        known = json.loads((options.starters / options.name / "metrics.json").read_text(encoding="utf-8"))
        record(options.name, findings, known["training"], options.starters)
