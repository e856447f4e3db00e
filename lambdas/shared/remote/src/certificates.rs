//! Checks TLS certificates of hosts whose authority is not a public one.
//!
//! libgit2 accepts further authorities only for the whole process and for good, so those of one source would be trusted
//! for the hosts of all others. So a certificate is checked here, against the authorities of one fetch. libgit2 shows
//! only the host's own certificate, not those that came with it: its issuer must be among the authorities, and need not
//! be a root.

use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::{X509CheckFlags, X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509StoreContext};

/// Checks that `authorities` trust the certificate `presented`, in DER form, for `host`.
///
/// # Errors
/// Returns why they do not trust it.
pub fn check(authorities: &[X509], host: &str, presented: &[u8]) -> Result<(), String> {
    let verify = || -> Result<_, ErrorStack> {
        let presented = X509::from_der(presented)?;
        let mut rules = X509VerifyParam::new()?;
        rules.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
        rules.set_purpose(X509PurposeId::SSL_SERVER)?;
        rules.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
        match host.parse() {
            Ok(address) => rules.set_ip(address)?,
            Err(_) => rules.set_host(host)?,
        }
        let mut store = X509StoreBuilder::new()?;
        for authority in authorities {
            store.add_cert(authority.clone())?;
        }
        store.set_param(&rules)?;
        let (store, none) = (store.build(), Stack::new()?);
        X509StoreContext::new()?.init(&store, &presented, &none, |context| {
            let trusted = context.verify_cert()?;
            Ok((trusted, context.error()))
        })
    };
    match verify() {
        Ok((true, _)) => Ok(()),
        Ok((false, reason)) => Err(reason.error_string().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
