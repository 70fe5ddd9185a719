"""Proof without servers: the services' own code on ports that are simulated, one seed a history."""
