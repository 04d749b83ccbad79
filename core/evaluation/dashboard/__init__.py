"""All trainings and evaluations of an instance in one table, with their curves and figures."""
