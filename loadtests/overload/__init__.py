"""Twice the load that the ingress can carry: what comes of it, and what is refused."""
