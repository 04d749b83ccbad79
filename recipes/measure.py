"""Measures a saved starter again, without training: `python -m recipes.measure NAME --data DATA [--write]`."""

import json

from recipes import _scratch_run
from recipes._run import NAMES, arguments, measure, record

if __name__ == "__main__":
    options = arguments("Measure a saved starter.", NAMES + _scratch_run.NAMES)
    if options.name in _scratch_run.NAMES:
        _scratch_run.measure_again(options.name, options.data, options.starters, write=options.write)
    else:
        findings = measure(options.name, options.data, options.starters)
        if options.write:
            known = json.loads((options.starters / options.name / "metrics.json").read_text(encoding="utf-8"))
            record(options.name, findings, known["training"], options.starters)
