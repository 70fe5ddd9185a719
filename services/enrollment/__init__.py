"""Owns enrollments and their outcome: opens, confirms, rejects, cancels, and keeps deadlines."""
