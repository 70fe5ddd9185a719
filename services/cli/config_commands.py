"""The command that shows how processes are configured: config."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from services.cli.output import EXIT_CODES, ExitCode, JsonFlag, Output, Table

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from shared.settings import ServiceSettings

HIDDEN: Final = "***"
USER_AND_PASSWORD: Final = re.compile(r"://.*@", re.DOTALL)  # a password may hold any of /, : and @
SECRET_PARAMETER: Final = re.compile(
    r"([?&][^=&]*(?:pass|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE
)


@dataclass(frozen=True)
class Setting:
    """One setting of one process; `value` is as the environment has it, without secrets."""

    environment: tuple[str, ...]
    is_required: bool
    default: str | None
    value: str | None  # None: it is not set
    meaning: str
    problem: str | None

    @property
    def is_bad(self) -> bool:
        """Tell whether what was set cannot be used; what is missing may be set elsewhere."""
        return self.value is not None and self.problem is not None


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXIT_CODES)(config)


def config(*, as_json: JsonFlag = False) -> ExitCode:
    """Show each setting of each process: its variable, default, present value and meaning.

    As this environment has them; secrets are hidden. Exit code 1 where a value is bad.
    """
    from services.enrollment.ingress.legacy import find_replaced

    processes = {kind.service: read_settings(kind) for kind in _kinds()}
    replaced = find_replaced(os.environ)
    is_fine = not any(one.is_bad for settings in processes.values() for one in settings)
    data = {"is_fine": is_fine, "processes": processes, "replaced": replaced}
    Output(as_json).emit(data, *replaced, *_parts(processes))
    return ExitCode.FINE if is_fine else ExitCode.NOT_FINE


def _kinds() -> "list[type[ServiceSettings]]":
    from services.capacity.settings import CapacitySettings
    from services.enrollment.ingress.settings import IngressSettings
    from services.enrollment.settings import EnrollmentSettings
    from services.student.settings import StudentSettings

    return [EnrollmentSettings, StudentSettings, CapacitySettings, IngressSettings]


def read_settings(kind: "type[ServiceSettings]") -> tuple[Setting, ...]:
    """Read the settings of one kind of process as it would itself."""
    present = {name.upper(): value for name, value in os.environ.items()}
    problems = _problems(kind)
    return tuple(
        _setting(name, field, present, problems) for name, field in kind.model_fields.items()
    )


def _problems(kind: "type[ServiceSettings]") -> dict[str, str]:
    from pydantic import ValidationError

    try:
        kind()
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return {str(one["loc"][0]): one["msg"].removeprefix("Value error, ") for one in found}
    return {}


def _setting(
    name: str, field: "FieldInfo", present: Mapping[str, str], problems: Mapping[str, str]
) -> Setting:
    names = _names_in_environment(name, field)
    value = next((present[one] for one in names if one in present), None)
    return Setting(
        environment=names,
        is_required=field.is_required(),
        default=shown(_default(field), is_secret=_is_secret(field)),
        value=shown(value, is_secret=_is_secret(field)),
        meaning=field.description or "",
        problem=problems.get(name),
    )


def _names_in_environment(name: str, field: "FieldInfo") -> tuple[str, ...]:
    from pydantic import AliasChoices

    alias = field.validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [name]
    return tuple(str(one).upper() for one in names)


def _default(field: "FieldInfo") -> str | None:
    """Give it as one would write it into the environment."""
    from pydantic import SecretStr

    default: Any = None if field.is_required() else field.get_default(call_default_factory=True)
    match default:
        case None:
            return None
        case SecretStr():
            return default.get_secret_value()
        case bool():
            return str(default).lower()
        case _:
            return str(default)


def _is_secret(field: "FieldInfo") -> bool:
    from pydantic import SecretStr

    return field.annotation is SecretStr


def shown(text: str | None, *, is_secret: bool = False) -> str | None:
    """Give a value without what must not be seen; of a URL its password, of a secret all."""
    if text is None:
        return None
    if "://" in text:
        return SECRET_PARAMETER.sub(rf"\1{HIDDEN}", USER_AND_PASSWORD.sub(_without_password, text))
    may_tell = is_secret or "@" in text or "pass" in text.lower()
    return HIDDEN if text and may_tell else text


def _without_password(found: re.Match[str]) -> str:
    user, separator, _ = found.group()[len("://") : -1].partition(":")
    return f"://{user}:{HIDDEN}@" if separator else found.group()


def _parts(processes: Mapping[str, tuple[Setting, ...]]) -> Iterator[str | Table]:
    for name, settings in processes.items():
        yield f"\n{name}"
        yield Table(
            ("variable", "default", "value", "meaning"),
            [
                (
                    " or ".join(one.environment),
                    "(must be set)" if one.is_required else one.default,
                    one.value,
                    one.meaning,
                )
                for one in settings
            ],
        )
        for one in settings:
            if one.problem is not None:
                state = "is bad" if one.is_bad else "is not set"
                yield f"{one.environment[0]} {state}: {one.problem}"
