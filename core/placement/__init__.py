"""Where and how a model runs, with reasons: pure functions of model, machine and wish."""
