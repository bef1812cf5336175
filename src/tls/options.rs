//! The sources of a certificate, as plain options.

use super::{DevOptions, PairFiles, SelfOptions};

/// The source of the webhook's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// A pair that exists at start and belongs to this replica alone.
    Pair(PairSource),
    /// Mode `self`: all replicas share an authority.
    SelfSigned(SelfOptions),
}

/// The source of a pair that exists at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairSource {
    /// Two files.
    Files(PairFiles),
    /// A pair that is generated at start.
    Dev(DevOptions),
}
