"""The part of the load that goes through the ingress, and the judge of what it answered."""
