"""How the admin addresses of the other processes are written."""

import pytest

from services.enrollment.ingress.peer_addresses import read_peers


def test_addresses_are_read_with_spaces_slashes_and_nothing_between_commas() -> None:
    found = read_peers(" http://10.0.0.1:9000/, http://workers:9001,,http://[::1]:9002 ,http://a")

    assert [(one.hostname, one.port) for one in found] == [
        ("10.0.0.1", 9000),
        ("workers", 9001),
        ("::1", 9002),
        ("a", None),
    ]


def test_no_address_is_fine() -> None:
    assert read_peers("") == []


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1:9000",
        "workers",
        "https://workers:9000",
        "http://",
        "http://:9000",
        "http://workers:port",
        "http://workers:0",
        "http://workers:99999",
        "http://workers:9000/metrics",
        "http://ann:secret@workers:9000",
        "http://[::1:9000",
        "http://a:1;http://b:2",
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="name admin servers as http://HOST:PORT"):
        read_peers(f"http://workers:9000,{text}")
