//! The TLS settings both ends share: version 1.3, Ed25519 raw public keys on both sides, one hybrid key exchange.
//!
//! There are no certificates: whom one talks to is decided by comparing a 32-byte key. [`LinkSecret`] is one end's key;
//! [`client_config`] and [`relay_config`] make the settings; [`peer_key`] reads who the other end is.
//!
//! # Source
//! SPEC [S11.1] [S11.2], RFC 7250, RFC 8446.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use zeroize::Zeroizing;

use crate::ids::LinkKey;
use crate::protocol::message::ALPN;

/// DER of an Ed25519 SubjectPublicKeyInfo before its 32 key bytes (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// DER of a PKCS#8 Ed25519 private key before its 32 seed bytes (RFC 8410).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// One end's link key: an Ed25519 seed, wiped when dropped.
pub struct LinkSecret {
    seed: Zeroizing<[u8; 32]>,
    public: LinkKey,
}

impl LinkSecret {
    /// Derives the key pair of a seed.
    ///
    /// # Errors
    /// When the crypto library refuses the seed, which it does for no seed of 32 bytes.
    pub fn of_seed(seed: Zeroizing<[u8; 32]>) -> Result<Self, Error> {
        use aws_lc_rs_crate::signature::{Ed25519KeyPair, KeyPair};
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed[..])
            .map_err(|rejected| Error::General(format!("link key refused: {rejected}")))?;
        let public = LinkKey::from_slice(pair.public_key().as_ref())
            .ok_or_else(|| Error::General("link key has the wrong length".into()))?;
        Ok(Self { seed, public })
    }

    /// The public half.
    pub fn public(&self) -> LinkKey {
        self.public
    }

    /// The seed, to be kept on disk by whoever owns the key.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    fn certified(&self) -> Result<Arc<CertifiedKey>, Error> {
        let mut pkcs8 = Zeroizing::new([0u8; 48]);
        pkcs8[..16].copy_from_slice(&PKCS8_PREFIX);
        pkcs8[16..].copy_from_slice(&self.seed[..]);
        let key = aws_lc_rs::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(&pkcs8[..]))?;
        let spki = key.public_key().ok_or_else(|| Error::General("link key has no public half".into()))?;
        Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki.to_vec())], key)))
    }
}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkSecret({})", self.public)
    }
}

/// Which relay a client is willing to talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedRelay {
    /// The one with this key.
    Key(LinkKey),
    /// Any; the offer will tell whether it is the right one [S10.8].
    ToldByOffer,
}

/// The settings of a client.
///
/// # Errors
/// When the crypto library refuses the key.
pub fn client_config(own: &LinkSecret, relay: ExpectedRelay) -> Result<ClientConfig, Error> {
    let provider = Arc::new(provider());
    let verifier = Arc::new(RelayVerifier { relay, algorithms: provider.signature_verification_algorithms });
    let resolver = Arc::new(rustls::client::AlwaysResolvesClientRawPublicKeys::new(own.certified()?));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(resolver);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_early_data = false;
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// The settings of a relay.
///
/// # Errors
/// When the crypto library refuses the key.
pub fn relay_config(own: &LinkSecret) -> Result<ServerConfig, Error> {
    let provider = Arc::new(provider());
    let verifier = Arc::new(AnyClient { algorithms: provider.signature_verification_algorithms });
    let resolver = Arc::new(rustls::server::AlwaysResolvesServerRawPublicKeys::new(own.certified()?));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

/// The key of the other end, from what it presented in the handshake.
pub fn peer_key(presented: &[CertificateDer<'_>]) -> Option<LinkKey> {
    match presented {
        [only] => link_key_of_spki(only.as_ref()),
        _ => None,
    }
}

/// aws-lc with the one key exchange of version 1. AES-128 stays: QUIC's first packets need it.
fn provider() -> CryptoProvider {
    CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768], ..aws_lc_rs::default_provider() }
}

fn link_key_of_spki(spki: &[u8]) -> Option<LinkKey> {
    spki.strip_prefix(&SPKI_PREFIX[..]).and_then(LinkKey::from_slice)
}

#[derive(Debug)]
struct RelayVerifier {
    relay: ExpectedRelay,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for RelayVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = link_key_of_spki(end_entity.as_ref()).ok_or(CertificateError::BadEncoding)?;
        match self.relay {
            ExpectedRelay::Key(expected) if expected != key => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            ExpectedRelay::Key(_) | ExpectedRelay::ToldByOffer => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::AlertReceived(AlertDescription::ProtocolVersion))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Accepts every client key; what a key may do is decided per operation.
#[derive(Debug)]
struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        link_key_of_spki(end_entity.as_ref()).ok_or(CertificateError::BadEncoding)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::AlertReceived(AlertDescription::ProtocolVersion))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The crypto library by its own name; `aws_lc_rs` is rustls' module here.
use ::aws_lc_rs as aws_lc_rs_crate;

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> LinkSecret {
        LinkSecret::of_seed(Zeroizing::new([byte; 32])).unwrap()
    }

    /// Runs a whole handshake in memory and returns both ends' errors, if any, and the keys they saw.
    fn handshake(client: ClientConfig, relay: ServerConfig) -> Result<(LinkKey, LinkKey), Error> {
        let name = ServerName::try_from("relay").unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = rustls::ServerConnection::new(Arc::new(relay)).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut &wire[..]).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut &wire[..]).unwrap();
            client.process_new_packets()?;
        }
        let seen_by_client = peer_key(client.peer_certificates().unwrap()).unwrap();
        let seen_by_relay = peer_key(server.peer_certificates().unwrap()).unwrap();
        Ok((seen_by_client, seen_by_relay))
    }

    #[test] // [S11.1]
    fn both_ends_learn_the_other_key() {
        let (seller, relay) = (secret(1), secret(2));
        for expected in [ExpectedRelay::Key(relay.public()), ExpectedRelay::ToldByOffer] {
            let (seen_by_client, seen_by_relay) =
                handshake(client_config(&seller, expected).unwrap(), relay_config(&relay).unwrap()).unwrap();
            assert_eq!(seen_by_client, relay.public());
            assert_eq!(seen_by_relay, seller.public());
        }
    }

    #[test] // [S11.2]
    fn another_relay_key_is_refused() {
        let (seller, relay, other) = (secret(1), secret(2), secret(3));
        let config = client_config(&seller, ExpectedRelay::Key(other.public())).unwrap();
        let error = handshake(config, relay_config(&relay).unwrap()).unwrap_err();
        assert_eq!(error, CertificateError::ApplicationVerificationFailure.into());
    }

    #[test] // [S11.1]
    fn a_client_without_the_hybrid_key_exchange_is_refused() {
        let (seller, relay) = (secret(1), secret(2));
        let plain = CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..aws_lc_rs::default_provider() };
        let verifier =
            RelayVerifier { relay: ExpectedRelay::ToldByOffer, algorithms: plain.signature_verification_algorithms };
        let mut config = ClientConfig::builder_with_provider(Arc::new(plain))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(rustls::client::AlwaysResolvesClientRawPublicKeys::new(
                seller.certified().unwrap(),
            )));
        config.alpn_protocols = vec![ALPN.to_vec()];
        assert!(handshake(config, relay_config(&relay).unwrap()).is_err());
    }

    #[test] // [S11.1]
    fn a_client_without_a_key_is_refused() {
        let relay = secret(2);
        let verifier = RelayVerifier {
            relay: ExpectedRelay::ToldByOffer,
            algorithms: provider().signature_verification_algorithms,
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        assert!(handshake(config, relay_config(&relay).unwrap()).is_err());
    }
}
