"""Every interleaving of small worlds, with the services' own code: `enroll explore`."""
