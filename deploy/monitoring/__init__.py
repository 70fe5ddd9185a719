"""What those who watch the system need: the metrics, documented from their one table."""
