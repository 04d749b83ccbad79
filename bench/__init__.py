"""One runnable per claim: `python -m bench.NAME` measures Atelier beside the plain library, in one run."""
