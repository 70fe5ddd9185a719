"""Runs the command line where the `enroll` script is not installed: `python -m services.cli`."""

from services.cli.main import main

if __name__ == "__main__":
    main()
