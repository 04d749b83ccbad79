"""Makes every starter that is missing, one after another; an interrupted run goes on where it stopped."""

from recipes import _scratch_run
from recipes._run import NAMES, arguments, make, recipe_module

if __name__ == "__main__":
    options = arguments("Make every missing starter.")
    for name in (*NAMES, *_scratch_run.NAMES):
        if (options.starters / name / "metrics.json").exists():
            continue
        if name in _scratch_run.NAMES:
            module = recipe_module(name)
            _scratch_run.make(module, module.RECIPE, _scratch_run.Places(options.data, options.starters))
        else:
            make(name, options.data, options.starters)
