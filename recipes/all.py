"""Makes every starter that is missing, one after another; an interrupted run goes on where it stopped."""

from recipes._run import NAMES, arguments, make

if __name__ == "__main__":
    options = arguments("Make every missing starter.")
    for name in NAMES:
        if not (options.starters / name / "metrics.json").exists():
            make(name, options.data, options.starters)
