from dicomgate.testing.fixtures import install_authenticator

__all__ = ["install_authenticator"]
