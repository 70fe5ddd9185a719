"""Owns students: eligibility, credits and time slots, which it claims and gives back."""
