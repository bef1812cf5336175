//! The host names and IP addresses of a certificate.

use std::{fmt, net::IpAddr, str::FromStr};

use rustls_pki_types::DnsName;

/// A host name or an IP address that a certificate can contain (`subjectAltName`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectAltName(String);

/// A text that is neither a host name nor an IP address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a host name or IP address; write for example cassgate.local or 192.0.2.7")]
pub struct SubjectAltNameError;

impl SubjectAltName {
    /// Returns the name as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SubjectAltName {
    type Err = SubjectAltNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = text.parse::<IpAddr>().is_ok() || DnsName::try_from(text).is_ok();
        if is_valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(SubjectAltNameError)
        }
    }
}

impl fmt::Display for SubjectAltName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_certificate_can_contain_is_rejected() {
        for name in ["", "a b", "https://x", "-"] {
            assert_eq!(
                name.parse::<SubjectAltName>(),
                Err(SubjectAltNameError),
                "{name:?}"
            );
        }
        for name in ["::1", "gate", "cassgate.cassgate-system.svc"] {
            assert!(name.parse::<SubjectAltName>().is_ok(), "{name}");
        }
    }
}
