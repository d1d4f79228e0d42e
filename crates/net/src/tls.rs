//! What TLS trusts: the bundled Mozilla roots, and optionally one more authority.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

/// TLS settings for WebSocket and HTTP alike. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts the bundled roots and the authorities in `extra_ca_pem`, if given (private venues,
    /// tests). The machine's own store is not read, so that two machines behave alike.
    ///
    /// # Errors
    /// The PEM text holds no certificate, or one that can't be read.
    pub fn new(extra_ca_pem: Option<&[u8]>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(pem) = extra_ca_pem {
            add_authorities(&mut roots, pem)?;
        }
        // The provider is named: a process-wide default could be set by any library.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(format!("TLS can't be set up: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    /// A connector over the settings.
    pub(crate) fn connector(&self) -> tokio_rustls::TlsConnector {
        tokio_rustls::TlsConnector::from(self.config.clone())
    }

    /// The settings themselves, for the HTTP client.
    pub(crate) fn client_config(&self) -> ClientConfig {
        (*self.config).clone()
    }
}

/// The name that the far end's certificate must carry.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())
}

fn add_authorities(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TlsError> {
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
        found += 1;
    }
    if found == 0 {
        return Err(TlsError(
            "the extra authority holds no certificate: a PEM file with at least one \
             '-----BEGIN CERTIFICATE-----' block is needed"
                .to_owned(),
        ));
    }
    Ok(())
}

fn unreadable(error: &dyn fmt::Display) -> TlsError {
    TlsError(format!("the extra authority can't be read as PEM certificates: {error}"))
}

/// Why TLS could not be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_authority_without_certificates_is_refused_in_words() {
        let error = Tls::new(Some(b"not a certificate")).unwrap_err();
        assert!(error.to_string().contains("BEGIN CERTIFICATE"), "{error}");
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = Tls::new(Some(broken)).unwrap_err();
        assert!(error.to_string().contains("can't be read"), "{error}");
        assert!(Tls::new(None).is_ok());
    }
}
