"""The paths of the ingress, a file for each kind of thing; each asks one object and answers."""
