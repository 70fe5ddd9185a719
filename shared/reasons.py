"""What each reason of a refusal says to a student, in English and in Spanish."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from shared.events import Reason, ReasonCode
from shared.identifiers import SectionId

NAMED_MAX: Final = 5
REASONS_BYTES_MAX: Final = 48 * 1024  # of the 64 KiB that a body may have


class Text(NamedTuple):
    """The same words in both languages; those of a table have places for values in braces."""

    en: str
    es: str


TEXTS: Final[Mapping[ReasonCode, Text]] = {
    ReasonCode.UNKNOWN_STUDENT: Text(
        "Student {student} is not in the student catalog.",
        "{student} no figura en el catálogo de estudiantes.",
    ),
    ReasonCode.UNKNOWN_SECTION: Text(
        "Section {section} is not in this term's catalog.",
        "El grupo {section} no figura en el catálogo de este periodo.",
    ),
    ReasonCode.STUDENT_HOLD: Text(
        "You have a hold: {hold}. It must be lifted before you can enroll.",
        "Tienes un adeudo: {hold}. Debe quedar resuelto antes de inscribirte.",
    ),
    ReasonCode.OUTSIDE_WINDOW: Text(
        "You cannot register for term {term} now; your time is {windows}.",
        "Ahora no puedes inscribirte en el periodo {term}; tu horario es {windows}.",
    ),
    ReasonCode.ALREADY_ENROLLED: Text(
        "You already have section {section}, or a request for it is pending.",
        "Ya tienes el grupo {section}, o una solicitud tuya para él está pendiente.",
    ),
    ReasonCode.SAME_COURSE_PART: Text(
        "Section {section} is the same part of course {course} ({part}) as section {other}.",
        "El grupo {section} es la misma parte del curso {course} ({part}) que el grupo {other}.",
    ),
    ReasonCode.PREREQUISITE: Text(
        "Section {section} requires that you have completed {courses}.",
        "El grupo {section} requiere que hayas aprobado {courses}.",
    ),
    ReasonCode.COREQUISITE: Text(
        "Section {section} requires that you also take {course}, or have completed it.",
        "El grupo {section} requiere que curses también {course}, o que lo hayas aprobado.",
    ),
    ReasonCode.TIME_CONFLICT: Text(
        "Section {section} meets at the same time as section {other}.",
        "El grupo {section} coincide en horario con el grupo {other}.",
    ),
    ReasonCode.CREDIT_LIMIT: Text(
        "You have {claimed} credits this term and ask for {asked} more; your limit is {limit}.",
        "Tienes {claimed} créditos este periodo y pides {asked} más; tu límite es {limit}.",
    ),
    ReasonCode.SECTION_FULL: Text(
        "Section {section} has no free seat.",
        "El grupo {section} no tiene cupo.",
    ),
    ReasonCode.SECTION_CLOSED: Text(
        "Section {section} is closed for enrollment.",
        "El grupo {section} está cerrado a inscripciones.",
    ),
    ReasonCode.SECTION_CANCELLED: Text(
        "Section {section} is cancelled.",
        "El grupo {section} está cancelado.",
    ),
    ReasonCode.DEADLINE: Text(
        "The answers about eligibility and seats did not come in time; please ask again.",
        "Las respuestas sobre requisitos y cupos no llegaron a tiempo; vuelve a pedirlo.",
    ),
    ReasonCode.BAD_REQUEST: Text(
        "{problem}",
        "La solicitud no es válida: {problem}",
    ),
    ReasonCode.ALREADY_RELEASED: Text(
        "The enrollment had ended before its seats came.",
        "La inscripción terminó antes de que llegaran sus cupos.",
    ),
}


def one_of(choices: Sequence[Text]) -> Text:
    """Join alternatives; of many only the first are named, for a sentence has an end."""
    named, more = choices[:NAMED_MAX], len(choices) - NAMED_MAX
    rest = [Text(f"one of {more} more", f"una de {more} más")] if more > 0 else []
    said = [*named, *rest]
    return Text(" or ".join(one.en for one in said), " o ".join(one.es for one in said))


def fitting(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Give as many of the first reasons as an event, and the outcome made of it, has room for.

    Hundreds of reasons take more than a message may have, and then nobody could read any.
    """
    kept: list[Reason] = []
    size_bytes = 0
    for one in reasons:
        size_bytes += len(one.model_dump_json().encode()) + 1
        if size_bytes > REASONS_BYTES_MAX:
            break
        kept.append(one)
    return tuple(kept)


def reason(code: ReasonCode, section_id: SectionId | None = None, **values: object) -> Reason:
    """Make a reason; `values` are what its text has places for, `section` aside."""
    text = TEXTS[code]
    return Reason(
        code=code,
        section_id=section_id,
        detail=text.en.format(section=section_id, **_in(values, 0)),
        detail_es=text.es.format(section=section_id, **_in(values, 1)),
    )


def _in(values: Mapping[str, object], language: int) -> dict[str, object]:
    return {k: v[language] if isinstance(v, Text) else v for k, v in values.items()}
