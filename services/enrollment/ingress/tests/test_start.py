"""At its start the ingress says what an operator must know, or why it does not start."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from services.enrollment.ingress.tests.signing import pem_file, public_pem, rsa_key

ROOT = Path(__file__).parents[4]
START_SECONDS = 30.0
NOWHERE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "HTTP_PORT": "0",
}


async def start(**environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.enrollment.ingress",
        cwd=ROOT,
        env={**os.environ, **NOWHERE, **environment},
        stderr=asyncio.subprocess.PIPE,
    )


async def said_until_it_waits(process: asyncio.subprocess.Process) -> list[dict[str, Any]]:
    """Read what it says until it waits for its database, and end it."""
    assert process.stderr is not None
    lines: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(START_SECONDS):
            while not lines or "waits for the database" not in lines[-1]["message"]:
                lines.append(json.loads(await process.stderr.readline()))
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), START_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0
    assert {line["service"] for line in lines} == {"ingress"}
    return lines


async def test_it_warns_of_the_older_systems_variables_and_of_the_developers_mode() -> None:
    process = await start(
        INSECURE_DEV="true", CELERY_BROKER_URL="amqp://ana:secret@mq", ENABLE_SAGA_PATTERN="true"
    )

    lines = await said_until_it_waits(process)

    warnings = [line["message"] for line in lines if line["level"] == "WARNING"]
    assert any(said.startswith("CELERY_BROKER_URL is not read: ") for said in warnings)
    assert any(said.startswith("ENABLE_SAGA_PATTERN is not read: ") for said in warnings)
    assert any(said.startswith("INSECURE: ") for said in warnings)
    assert "secret" not in json.dumps(lines)


async def test_it_warns_of_nothing_where_all_is_as_it_should_be(tmp_path: Path) -> None:
    path = pem_file(tmp_path, public_pem(rsa_key()))

    lines = await said_until_it_waits(await start(JWT_PUBLIC_KEY_FILE=str(path)))

    said = " ".join(line["message"] for line in lines)
    assert "is not read" not in said
    assert "INSECURE" not in said


async def test_it_does_not_start_in_the_developers_mode_where_others_can_connect() -> None:
    process = await start(INSECURE_DEV="true", HTTP_HOST="0.0.0.0")

    _, said = await asyncio.wait_for(process.communicate(), START_SECONDS)

    assert process.returncode == 2
    assert b"setting http_host: " in said
    assert b"127.0.0.1 only" in said
    assert b"Traceback" not in said


async def test_it_does_not_start_without_the_issuers_keys() -> None:
    process = await start(INSECURE_DEV="false")

    _, said = await asyncio.wait_for(process.communicate(), START_SECONDS)

    assert process.returncode == 2
    assert b"JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL" in said
    assert b"Traceback" not in said
