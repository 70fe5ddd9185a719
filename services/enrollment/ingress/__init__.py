"""The HTTP ingress: publishes requests, keeps a view of what came of them, decides nothing."""
