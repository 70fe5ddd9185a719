"""Planted bugs: mistakes that a review may miss, to show that the checks do not."""
