"""The server process of a pair: `python -m loadtests.frameworks.serving`."""

import logging

from loadtests.frameworks.told import serve

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    serve()
