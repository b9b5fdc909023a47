"""Authorities and certificates for tests.

    authority = Authority(); authority.write(path); certificate = authority.issue("mx.example.net")
    certificate.server() is an ssl.SSLContext; certificate.tlsa("3 1 1") a TLSA record's data
"""
import datetime
import hashlib
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Certificate:
    def __init__(self, certificate, key, chain=()):
        self.certificate, self.key, self.chain = certificate, key, chain

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def server(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        key = self.key.private_bytes(serialization.Encoding.PEM,
                                     serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption())
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"".join([key, self.pem(), *(one.pem() for one in self.chain)]))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def tlsa(self, kind):
        """kind: "3 1 1", usage, selector and matching type."""
        _, selector, matching = (int(number) for number in kind.split())
        if selector:
            data = self.certificate.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        else:
            data = self.certificate.public_bytes(serialization.Encoding.DER)
        digests = {0: bytes, 1: lambda d: hashlib.sha256(d).digest(),
                   2: lambda d: hashlib.sha512(d).digest()}
        return f"{kind} {digests[matching](data).hex()}"


class Authority(Certificate):
    def __init__(self):
        key = ec.generate_private_key(ec.SECP256R1())
        super().__init__(make("an authority", key, None, ()), key)

    def write(self, path):
        path.write_bytes(self.pem())
        return path

    def issue(self, *names, days=10):
        """Valid until in so many days; where that is below 0, it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        return Certificate(make(names[0], key, self, names, days), key, [self])


def make(subject, key, issuer, names, days=10):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.datetime.utcnow()
    builder = x509.CertificateBuilder(
        issuer_name=issuer.certificate.subject if issuer else name, subject_name=name,
        public_key=key.public_key(), serial_number=x509.random_serial_number(),
        not_valid_before=now - 100 * DAY, not_valid_after=now + days * DAY)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), False)
    else:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    return builder.sign(issuer.key if issuer else key, hashes.SHA256())
