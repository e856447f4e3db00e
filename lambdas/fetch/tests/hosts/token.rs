//! A FIDO token with an SSH key, as far as a signature shows it
//! (<https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.u2f>).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::bn::{BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcKey, PointConversionForm};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha256;
use openssl::sign::Signer;
use ssh_key::{HashAlg, SshSig};

const APPLICATION: &[u8] = b"ssh:";
/// The flag that the token was touched, and the count of its signatures.
const TOUCHED: [u8; 5] = [1, 0, 0, 0, 7];

pub struct Token {
    kind: &'static str,
    /// The public key, as in a key file, but decoded.
    public: Vec<u8>,
    private: PKey<Private>,
}

impl Token {
    pub fn ed25519() -> Self {
        let kind = "sk-ssh-ed25519@openssh.com";
        let private = PKey::generate_ed25519().unwrap();
        let point = private.raw_public_key().unwrap();
        let public = [kind.as_bytes(), &point, APPLICATION].map(string).concat();
        Self {
            kind,
            public,
            private,
        }
    }

    pub fn ecdsa() -> Self {
        let kind = "sk-ecdsa-sha2-nistp256@openssh.com";
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let mut context = BigNumContext::new().unwrap();
        let point = key.public_key();
        let point = point
            .to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut context)
            .unwrap();
        let public = [kind.as_bytes(), b"nistp256", &point, APPLICATION]
            .map(string)
            .concat();
        let private = PKey::from_ec_key(key).unwrap();
        Self {
            kind,
            public,
            private,
        }
    }

    /// Returns the line of allowed_signers.
    pub fn allowed(&self) -> String {
        format!("jo@example.com {} {}\n", self.kind, STANDARD.encode(&self.public))
    }

    /// Returns a signature for git.
    pub fn sign(&self, payload: &[u8]) -> String {
        let data = SshSig::signed_data("git", HashAlg::Sha512, payload).unwrap();
        let data = [&sha256(APPLICATION)[..], &TOUCHED, &sha256(&data)].concat();
        let signature = match self.private.ec_key() {
            Err(_) => {
                let mut signer = Signer::new_without_digest(&self.private).unwrap();
                signer.sign_oneshot_to_vec(&data).unwrap()
            }
            Ok(key) => {
                let signature = EcdsaSig::sign(&sha256(&data), &key).unwrap();
                [mpint(signature.r()), mpint(signature.s())].concat()
            }
        };
        let signature = [string(self.kind.as_bytes()), string(&signature), TOUCHED.to_vec()].concat();
        let fields = [&self.public[..], b"git", b"", b"sha512", &signature]
            .map(string)
            .concat();
        let armoured = STANDARD.encode([b"SSHSIG\0\0\0\x01", &fields[..]].concat());
        format!("-----BEGIN SSH SIGNATURE-----\n{armoured}\n-----END SSH SIGNATURE-----\n")
    }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// Encodes a positive number, with a zero byte in front if its first bit is set.
fn mpint(number: &BigNumRef) -> Vec<u8> {
    let mut bytes = number.to_vec();
    if bytes.first().is_some_and(|first| *first >= 0x80) {
        bytes.insert(0, 0);
    }
    string(&bytes)
}
