"""Measures frameworks and servers by our own POST, each pair in a process of its own."""
