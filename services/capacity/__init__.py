"""Owns sections and seats: reserves all of an enrollment's seats or none, and releases them."""
