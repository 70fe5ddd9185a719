"""Each service's store on the simulated database: the same rows, locks and order as its SQL."""
