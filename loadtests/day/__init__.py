"""A registration day replayed: import its catalogs, publish its requests, report the outcomes."""
