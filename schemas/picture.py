"""Draws the choreography as a Mermaid picture, from the one table that says what reacts to what."""

from collections import defaultdict

from shared.choreography import REACTIONS, TOPIC_OF, Service


def mermaid() -> str:
    """Draw services as boxes and topics as arrows between those who write and who read them."""
    lines = [
        "flowchart LR",
        "    outside([upstream systems, registrar])",
        *(f"    {service}[{service}]" for service in Service),
    ]
    read: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for reaction in REACTIONS:
        if isinstance(reaction.on, type):
            topic = TOPIC_OF[reaction.on]
            writer = topic.writer.value if topic.writer else "outside"
            read[writer, reaction.service.value, topic.name].append(reaction.on.__name__)
    for (writer, reader, topic_name), events in read.items():
        text = "<br/>".join([f"<b>{topic_name}</b>", *events])
        lines.append(f'    {writer} -->|"{text}"| {reader}')
    return "\n".join(lines) + "\n"


def table() -> str:
    """Write the reactions as a Markdown table."""
    lines = ["| on | in | decides | says |", "|---|---|---|---|"]
    for reaction in REACTIONS:
        on = reaction.on if isinstance(reaction.on, str) else reaction.on.__name__
        says = ", ".join(event.__name__ for event in reaction.says) or "-"
        lines.append(f"| {on} | {reaction.service} | {reaction.decides} | {says} |")
    return "\n".join(lines) + "\n"
