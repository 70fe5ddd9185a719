"""Says where one enrollment is, why, and what may safely be done: gathered, judged, told."""
