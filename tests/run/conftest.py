from dicomgate.testing.fixtures import certificates, install_authenticator

__all__ = ["certificates", "install_authenticator"]
