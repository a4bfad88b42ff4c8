import copy
import pickle
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from controlplane.identifiers.spiffe import SpiffeId, TrustDomain
from controlplane.identity.authority import AUTHORITY_DAYS, SVID_SECONDS, CertificateAuthority

NOW = 1_767_225_600.0
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key()
DOMAIN = TrustDomain("homes.example")
ONE = SpiffeId.of(DOMAIN, "device", "dev-1")


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority.create(DOMAIN, NOW)


def at(seconds: float) -> PolicyBuilder:
    import datetime

    return PolicyBuilder().time(datetime.datetime.fromtimestamp(seconds, datetime.UTC))


def test_another_library_accepts_a_client_for_its_whole_life_and_no_longer(authority: CertificateAuthority) -> None:
    issued = authority.issue_svid(ONE, PUBLIC, NOW, 3600.0)
    store = Store([authority.certificate])
    for when in (NOW - 200, NOW, NOW + 3599):
        verified = at(when).store(store).build_client_verifier().verify(issued, [])
        assert [name.value for name in verified.subjects or ()] == ["spiffe://homes.example/device/dev-1"]
    for when in (NOW - 301, NOW + 3601):
        with pytest.raises(VerificationError):
            at(when).store(store).build_client_verifier().verify(issued, [])


def test_a_server_is_accepted_for_its_names_alone(authority: CertificateAuthority) -> None:
    issued = authority.issue_server(["control.example", "127.0.0.1"], PUBLIC, NOW)
    store = Store([authority.certificate])
    at(NOW).store(store).build_server_verifier(x509.DNSName("control.example")).verify(issued, [])
    with pytest.raises(VerificationError):
        at(NOW).store(store).build_server_verifier(x509.DNSName("evil.example")).verify(issued, [])
    with pytest.raises(VerificationError):
        at(NOW).store(store).build_client_verifier().verify(issued, [])


def test_a_workloads_certificate_has_the_form_of_an_x509_svid(authority: CertificateAuthority) -> None:
    """X509-SVID, sections 2, 4.1, 4.3 and 4.4, and appendix A."""
    found = authority.issue_svid(ONE, PUBLIC, NOW).extensions
    names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(str(ONE))]
    basic = found.get_extension_for_class(x509.BasicConstraints)
    assert (basic.value.ca, basic.critical) == (False, True)
    usage = found.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert not usage.value.crl_sign
    purposes = found.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}


def test_an_authority_is_named_by_its_trust_domain_without_a_path(authority: CertificateAuthority) -> None:
    found = authority.certificate.extensions
    names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("spiffe://homes.example")]
    usage = found.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    with pytest.raises(ValueError, match="path"):
        authority.issue_svid(SpiffeId(DOMAIN), PUBLIC, NOW)


def test_the_common_name_is_who_it_is_for_and_never_a_host_of_ours(authority: CertificateAuthority) -> None:
    issued = authority.issue_svid(ONE, PUBLIC, NOW)
    assert issued.subject.rfc4514_string() == "CN=dev-1"
    for host in ("localhost", "control.example"):
        with pytest.raises(VerificationError):
            at(NOW).store(Store([authority.certificate])).build_server_verifier(x509.DNSName(host)).verify(issued, [])


def test_a_workload_is_no_authority(authority: CertificateAuthority) -> None:
    issued = authority.issue_svid(ONE, PUBLIC, NOW)
    own = CertificateAuthority(KEY, issued)
    forged = own.issue_svid(SpiffeId.of(DOMAIN, "device", "dev-2"), PUBLIC, NOW)
    with pytest.raises(VerificationError):
        at(NOW).store(Store([authority.certificate])).build_client_verifier().verify(forged, [issued])


def test_it_comes_back_from_its_pem(authority: CertificateAuthority) -> None:
    again = CertificateAuthority.from_pem(authority.to_pem())
    assert again.certificate == authority.certificate
    issued = again.issue_svid(ONE, PUBLIC, NOW)
    at(NOW).store(Store([authority.certificate])).build_client_verifier().verify(issued, [])


def test_a_key_and_a_certificate_that_do_not_belong_together_are_none(authority: CertificateAuthority) -> None:
    other = CertificateAuthority.create(DOMAIN, NOW)
    mixed = other.to_pem().split(b"-----BEGIN CERT")[0] + authority.certificate_pem.encode()
    with pytest.raises(ValueError, match="not that of its certificate"):
        CertificateAuthority.from_pem(mixed)


def test_what_is_no_authority_is_refused() -> None:
    odd = rsa.generate_private_key(65_537, 2048)
    pem = odd.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for raw in (b"", b"x", pem):
        with pytest.raises(ValueError):
            CertificateAuthority.from_pem(raw)


@pytest.mark.parametrize("lifetime", [0.0, -1.0, SVID_SECONDS + 1, float("nan")])
def test_a_client_lives_for_a_day_at_most(authority: CertificateAuthority, lifetime: float) -> None:
    with pytest.raises(ValueError, match="lives"):
        authority.issue_svid(ONE, PUBLIC, NOW, lifetime)


def test_nothing_outlives_the_authority(authority: CertificateAuthority) -> None:
    end = NOW + AUTHORITY_DAYS * SVID_SECONDS
    late = authority.issue_svid(ONE, PUBLIC, end - 600)
    assert late.not_valid_after_utc == authority.certificate.not_valid_after_utc
    with pytest.raises(ValueError, match="expired"):
        authority.issue_svid(ONE, PUBLIC, end)


def test_a_server_needs_a_host(authority: CertificateAuthority) -> None:
    with pytest.raises(ValueError, match="host"):
        authority.issue_server([], PUBLIC, NOW)
    with pytest.raises(ValueError):
        authority.issue_server(["ü.example"], PUBLIC, NOW)


def test_it_shows_no_key_and_is_not_copied(authority: CertificateAuthority) -> None:
    assert "PRIVATE" not in repr(authority)
    for copying in (copy.copy, pickle.dumps):
        with pytest.raises(TypeError):
            copying(authority)


def test_openssl_reads_it(authority: CertificateAuthority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=authority.certificate_pem)
    assert len(context.get_ca_certs()) == 1
