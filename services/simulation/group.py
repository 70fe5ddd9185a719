"""A consumer group in virtual time: static members, sessions, and cooperative rebalances."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from functools import partial
from random import Random
from typing import Final

from services.simulation.ports import Process
from services.simulation.scheduler import SECOND_US, Scheduler
from shared.identifiers import PartitionKey

HEARTBEAT_US: Final = SECOND_US  # what a member learns, it learns within this time
THAW_US: Final = SECOND_US // 4  # and one that comes back to life, within this


class Standing(Enum):
    """What has become of a member."""

    MEMBER = auto()
    LOST = auto()  # its session is over: it may join again, even if another has its name by now
    FENCED = auto()  # another has its name


class Member:
    """The place of one client in its group; `hear` is called when there may be news for it."""

    __slots__ = (
        "hear",
        "instance",
        "is_overdue",
        "is_silent",
        "process",
        "session_us",
        "silences",
        "topics",
    )

    def __init__(
        self,
        process: Process,
        instance: str,
        topics: Sequence[str],
        session_us: int,
        hear: Callable[[], None],
    ) -> None:
        self.process = process
        self.instance = instance
        self.topics = frozenset(topics)
        self.session_us = session_us
        self.hear = hear
        self.is_silent = False
        self.is_overdue = False  # silent for longer than its session
        self.silences = 0  # a time-out of an earlier silence is stale


class Group:
    """Who has which partition, and who is to have it; a partition moves once it was given up.

    Owners are drawn for each partition by itself, so those of equal number often differ.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        random: Random,
        topics: Mapping[str, int],
        is_down: Callable[[], bool],
    ) -> None:
        self.committed: dict[PartitionKey, int] = {}
        self._scheduler = scheduler
        self._random = random
        self._is_down = is_down
        self._members: dict[str, Member] = {}
        self._frozen: list[Member] = []
        keys = [PartitionKey(topic, n) for topic, count in topics.items() for n in range(count)]
        self._owners: dict[PartitionKey, str | None] = dict.fromkeys(keys)
        self._targets: dict[PartitionKey, str | None] = dict.fromkeys(keys)

    def join(self, member: Member) -> None:
        """Take a member in; where its name has a place already, the place is now the new one's."""
        former = self._members.get(member.instance)
        self._members[member.instance] = member
        for key, owner in self._owners.items():
            if owner == member.instance:
                self._owners[key] = None
        if former is None:
            for key, target in self._targets.items():
                if key.topic in member.topics and (target is None or self._is_drawn()):
                    self._targets[key] = member.instance
        elif not former.is_silent:
            self._tell(former)
        self._tell_all()

    def _is_drawn(self) -> bool:
        return self._random.random() * len(self._members) < 1

    def rebalance(self) -> None:
        """Deal all partitions anew."""
        for key in self._targets:
            self._targets[key] = self._draw_for(key)
        self._tell_all()

    def _draw_for(self, key: PartitionKey) -> str | None:
        names = [member.instance for member in self._members.values() if key.topic in member.topics]
        return self._random.choice(names) if names else None

    def standing(self, member: Member) -> Standing:
        """Tell what has become of a member."""
        if member.is_overdue:
            return Standing.LOST
        is_current = self._members[member.instance] is member
        return Standing.MEMBER if is_current else Standing.FENCED

    def to_revoke(self, member: Member) -> list[PartitionKey]:
        """Name what the member has and is to give up."""
        name = member.instance
        return [
            key
            for key, owner in self._owners.items()
            if owner == name and self._targets[key] != name
        ]

    def release(self, member: Member, keys: Iterable[PartitionKey]) -> None:
        """Give partitions up, so that others get them."""
        if self.standing(member) is Standing.MEMBER:
            for key in keys:
                self._owners[key] = None
            self._tell_all()

    def claim(self, member: Member) -> list[PartitionKey]:
        """Take what the member is to have and nobody else has any more."""
        if self.standing(member) is not Standing.MEMBER:
            return []
        name = member.instance
        free = [
            key
            for key, target in self._targets.items()
            if target == name and self._owners[key] is None
        ]
        for key in free:
            self._owners[key] = name
        return free

    def leave_silently(self, member: Member) -> None:
        """Send no heartbeat from now on, as one that has died; a static member never says so."""
        member.is_silent = True
        member.silences += 1
        last_beat_us = int(self._random.random() * HEARTBEAT_US)
        self._scheduler.after(
            max(1, member.session_us - last_beat_us), partial(self._expel, member, member.silences)
        )

    def freeze(self, process: Process) -> None:
        """Silence the members of a process until `thaw`."""
        for member in self._members.values():
            if member.process is process and not member.is_silent:
                self._frozen.append(member)
                self.leave_silently(member)

    def thaw(self, process: Process) -> None:
        """Let them send heartbeats again; the answer may be bad news."""
        for member in self._frozen:
            if member.process is process:
                member.is_silent = False
                member.silences += 1
                self._scheduler.after(int(self._random.random() * THAW_US) + 1, member.hear)
        self._frozen = [member for member in self._frozen if member.process is not process]

    def go_on(self) -> None:
        """Give everybody a whole session after the cluster was down."""
        for member in self._members.values():
            if member.is_silent:
                self.leave_silently(member)
        self._tell_all()

    def _expel(self, member: Member, silences: int) -> None:
        if member.silences != silences or self._is_down():
            return
        member.is_overdue = True
        if self._members.get(member.instance) is not member:
            return
        del self._members[member.instance]
        for key, owner in self._owners.items():
            if owner == member.instance:
                self._owners[key] = None
        for key, target in self._targets.items():
            if target == member.instance:
                self._targets[key] = self._draw_for(key)
        self._tell_all()

    def _tell_all(self) -> None:
        for member in self._members.values():
            if not member.is_silent:
                self._tell(member)

    def _tell(self, member: Member) -> None:
        self._scheduler.after(int(self._random.random() * HEARTBEAT_US) + 1, member.hear)
