"""Chaos: load while processes are killed or stopped and connections break; then all is judged."""
