"""The servers that are measured: each module serves the application that it is told of."""
