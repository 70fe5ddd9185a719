"""The `enroll` command: what operators and demonstrations do to the system."""
