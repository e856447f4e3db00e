//! Parses the git secret's lists of keys, `allowed_signers` and the OpenPGP keys.

#![no_main]

use libfuzzer_sys::fuzz_target;
use signatures::Signers;

fuzz_target!(|input: &[u8]| {
    let Some([ssh, openpgp]) = fuzz::parts(input) else {
        return;
    };
    if let (Ok(ssh), Ok(openpgp)) = (std::str::from_utf8(ssh), std::str::from_utf8(openpgp)) {
        let _ = Signers::parse(ssh, openpgp);
    }
});
