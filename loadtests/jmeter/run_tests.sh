#!/bin/sh
# Plays JMeter's plans and judges them; `run_tests.sh --help` says how.
set -eu
cd "$(dirname "$0")/../.."
python=.venv/bin/python
if [ ! -x "$python" ]; then
    echo "The Python environment is not made yet: run \`make install\` here first: $PWD" >&2
    exit 2
fi
if [ -z "${JAVA_HOME:-}" ] && ! command -v java >/dev/null; then
    echo "Java is missing: install Java 17 or newer (Debian, Ubuntu: apt-get install openjdk-17-jdk-headless)." >&2
    exit 2
fi
exec "$python" -m loadtests.jmeter "$@"
