//! The fault behind a failed webhook call, by the words of the API server.

/// The fault behind a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The `caBundle` does not verify the certificate.
    Authority,
    /// The certificate is expired or not yet valid.
    Time,
    /// The certificate has other names.
    Name,
    /// Another fault of the certificate.
    Certificate,
    /// A fault of the Service.
    Service,
    /// The server does not answer.
    NoAnswer,
    /// The answer is not valid.
    Answer,
}

/// Texts of the API server and the faults that they report; the first match counts.
///
/// They come from Go's `crypto/x509` and `net`, and from the API server's resolver of Services.
const TEXTS: [(&str, Fault); 22] = [
    ("certificate signed by unknown authority", Fault::Authority),
    ("unable to load root certificates", Fault::Authority),
    ("certificate has expired or is not yet valid", Fault::Time),
    ("certificate is valid for", Fault::Name),
    ("certificate is not valid for any names", Fault::Name),
    ("doesn't contain any IP SANs", Fault::Name),
    ("relies on legacy Common Name", Fault::Name),
    ("x509:", Fault::Certificate),
    ("no service port", Fault::Service),
    ("no endpoints available for service", Fault::Service),
    ("cannot route to service", Fault::Service),
    ("unsupported service type", Fault::Service),
    ("\" not found", Fault::Service),
    ("connection refused", Fault::NoAnswer),
    ("connection reset", Fault::NoAnswer),
    ("no route to host", Fault::NoAnswer),
    ("no such host", Fault::NoAnswer),
    ("i/o timeout", Fault::NoAnswer),
    ("deadline exceeded", Fault::NoAnswer),
    ("Client.Timeout", Fault::NoAnswer),
    ("TLS handshake timeout", Fault::NoAnswer),
    (": EOF", Fault::NoAnswer),
];

impl Fault {
    /// Returns the fault that `message` reports.
    pub(super) fn classify(message: &str) -> Self {
        TEXTS
            .iter()
            .find(|(text, _)| message.contains(text))
            .map_or(Self::Answer, |(_, fault)| *fault)
    }
}
