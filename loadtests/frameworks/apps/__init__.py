"""The same POST in several frameworks: each module makes an ASGI application that does our work."""
