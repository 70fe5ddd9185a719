"""Lends each test databases as good as new: to make that many would take minutes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from shared.database import migrate

_NUMBERS: Final = count(1)

# What a test may have added; the rows of none of these tables are our own.
SHAPE: Final = """
    SELECT ARRAY[
        (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
        (SELECT count(*) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
         WHERE relnamespace = 'public'::regnamespace AND NOT attisdropped),
        (SELECT count(*) FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
        (SELECT count(*) FROM pg_trigger),
        (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
        (SELECT count(*) FROM pg_db_role_setting)
    ]
"""
END_OTHERS: Final = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
TRUNCATION: Final = """
    SELECT 'TRUNCATE ' || string_agg(oid::regclass::text, ', ') FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0
"""
FILLED: Final = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0
"""
COUNT_ANEW: Final = "SELECT setval(quote_ident(sequencename)::regclass, 1, false) FROM pg_sequences"


@dataclass(frozen=True)
class Databases:
    """Databases that were migrated once, and are emptied for the next test."""

    admin_url: str
    versions: Mapping[str, Path]
    free: dict[str, list[str]] = field(default_factory=dict)
    shapes: dict[str, list[int]] = field(default_factory=dict)
    rows: dict[str, dict[str, str]] = field(default_factory=dict)  # of migrations, by table

    async def prepare(self) -> None:
        """Make the template of each service."""
        for service, versions in self.versions.items():
            await self._administer(f"CREATE DATABASE {_template(service)}")
            await migrate(self._url(_template(service)), versions)
            connection = await asyncpg.connect(self._url(_template(service)))
            try:
                self.shapes[service] = await connection.fetchval(SHAPE)
                self.rows[service] = {
                    row[0]: await connection.fetchval(f"SELECT json_agg(t) FROM {row[0]} AS t")
                    for row in await connection.fetch(FILLED)
                }
            finally:
                await connection.close()

    async def take(self, service: str) -> str:
        """Give the URL of an empty, migrated database."""
        if self.free.get(service):
            return self.free[service].pop()
        name = f"test_{service}_{next(_NUMBERS)}"
        await self._administer(f"CREATE DATABASE {name} TEMPLATE {_template(service)}")
        return self._url(name)

    async def give_back(self, service: str, url: str) -> None:
        """Empty it for the next, or drop it where a test has changed more than rows."""
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(END_OTHERS)
            is_as_made = await connection.fetchval(SHAPE) == self.shapes[service]
            if is_as_made:
                await connection.execute(await connection.fetchval(TRUNCATION) or "SELECT 1")
                await connection.execute(COUNT_ANEW)
                await connection.execute("SELECT pg_stat_reset()")
                for table, rows in self.rows[service].items():
                    all_of = f"SELECT * FROM json_populate_recordset(NULL::{table}, $1)"
                    await connection.execute(f"INSERT INTO {table} {all_of}", rows)
        finally:
            await connection.close()
        if is_as_made:
            self.free.setdefault(service, []).append(url)
        else:
            await self._administer(f"DROP DATABASE {urlsplit(url).path.removeprefix('/')}")

    async def _administer(self, command: str) -> None:
        connection = await asyncpg.connect(self.admin_url)
        try:
            await connection.execute(command)
        finally:
            await connection.close()

    def _url(self, name: str) -> str:
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{name}"))


def _template(service: str) -> str:
    return f"template_{service}"


@dataclass(frozen=True)
class Lender:
    """Lends databases to one test."""

    databases: Databases
    lent: list[tuple[str, str]] = field(default_factory=list)

    async def make(self, service: str) -> str:
        """Give the URL of an empty, migrated database of a service or the ingress."""
        url = await self.databases.take(service)
        self.lent.append((service, url))
        return url

    async def take_back(self) -> None:
        """Have all of them ready for the next test."""
        for service, url in self.lent:
            await self.databases.give_back(service, url)
