"""Tests of the plain connections and their client."""
