"""Dead letters on the simulated database, alike those on PostgreSQL."""

from datetime import datetime

from services.simulation.transaction import MemoryTransaction
from shared.audit_trail import FIRST_HASH, AuditRecord, chain
from shared.dead_letter import DeadLetter, unknown_letter


class MemoryLetters:
    """The Letters of shared.dead_letter, inside a transaction that the caller commits."""

    def __init__(self, transaction: MemoryTransaction) -> None:
        self._transaction = transaction

    async def queue_of(self, letter_id: int) -> list[DeadLetter]:
        """Lock and read a dead letter and those of its enrollment and topic, oldest first."""
        found = await self._transaction.lock_where(
            "dead_letter", lambda other: self._is_of_one_queue(letter_id, other)
        )
        if not found:
            raise unknown_letter(letter_id)
        return list(found.values())

    def _is_of_one_queue(self, letter_id: int, other: DeadLetter) -> bool:
        one = self._transaction.current("dead_letter", letter_id)
        return one is not None and (
            one.id == other.id
            or (
                one.holds
                and other.holds
                and one.message.topic == other.message.topic
                and one.enrollment_id == other.enrollment_id
            )
        )

    async def delete(self, letter_id: int) -> None:
        """Forget a dead letter."""
        await self._transaction.write("dead_letter", {letter_id: None})

    async def record(
        self, *, operator: str, action: str, subject: str, detail: str, now: datetime
    ) -> None:
        """Add what an operator did to the audit trail."""
        await self._transaction.stand("db.record")
        await self._transaction.take("audit_lock", "audit_trail")
        number, previous = 1, FIRST_HASH
        while (last := self._transaction.current("audit_trail", number)) is not None:
            number, previous = number + 1, last.hash
        digest = chain(previous, now, operator, action, subject, detail)
        self._transaction.put(
            "audit_trail",
            number,
            AuditRecord(number, now, operator, action, subject, detail, previous, digest),
        )
