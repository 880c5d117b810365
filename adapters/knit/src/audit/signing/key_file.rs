//! Files of keys: PEM with the ASN.1 of RFC 8410, which `openssl genpkey` and `openssl pkey` write and read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use super::{PublicKey, SigningError, SigningKey, text_of};
use crate::error::Error;

/// What stands in front of the 32 bytes of a private key (PKCS #8, version 1: the one that every OpenSSL reads).
const PRIVATE_PREFIX: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// What stands in front of the 32 bytes of a public key.
const PUBLIC_PREFIX: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// Permissions of a private key: nobody else reads it.
const PRIVATE_MODE: u32 = 0o600;
/// What others than its owner may be allowed with a file.
const OTHERS: u32 = 0o077;
/// Permissions of a public key, as the umask allows.
const PUBLIC_MODE: u32 = 0o666;

/// Where the public key of a new private one is put.
pub(in crate::audit) fn public_path(private: &Path) -> PathBuf {
    let mut path = private.as_os_str().to_owned();
    path.push(".pub");
    path.into()
}

/// Writes a new pair: the private key to `path`, the public one beside it. Neither replaces anything.
///
/// # Errors
/// When one of them is there or cannot be written; then there is neither.
pub(in crate::audit) fn save_new(path: &Path, seed: &[u8], public: &PublicKey) -> Result<(), Error> {
    let public_path = public_path(path);
    write_new(path, PRIVATE_MODE, &pem("PRIVATE KEY", &[&PRIVATE_PREFIX, seed].concat()))
        .map_err(Error::file("write", path))?;
    write_new(&public_path, PUBLIC_MODE, &pem("PUBLIC KEY", &[&PUBLIC_PREFIX[..], public].concat())).map_err(|error| {
        // Half a pair is of no use; why the other half is not there is said.
        let _ = fs::remove_file(path);
        Error::file("write", public_path)(error)
    })
}

fn write_new(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
        // A part of it would be in the way of the next try; why there is no more of it is said.
        let _ = fs::remove_file(path);
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// The private key in a file, which must be closed to others.
pub(in crate::audit) fn signing_key(path: &Path) -> Result<SigningKey, Error> {
    let text = text_of(path).map_err(Error::file("read", path))?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).ok();
    let wanted = "private Ed25519 key in PEM (PKCS #8, not encrypted)";
    let key = der.and_then(|der| SigningKey::of_pkcs8(der.secret_pkcs8_der()));
    let key = key.ok_or_else(|| SigningError::NoKey { path: path.to_owned(), wanted })?;
    let mode = fs::metadata(path).map_err(Error::file("read", path))?.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(SigningError::OpenKey { path: path.to_owned(), mode }.into());
    }
    Ok(key)
}

/// The public keys in a file, of which there is at least one.
pub(in crate::audit) fn public_keys(path: &Path) -> Result<Vec<PublicKey>, Error> {
    let text = text_of(path).map_err(Error::file("read", path))?;
    let read = |der: SubjectPublicKeyInfoDer<'_>| der.strip_prefix(&PUBLIC_PREFIX).and_then(|key| key.try_into().ok());
    let keys: Option<Vec<PublicKey>> =
        SubjectPublicKeyInfoDer::pem_slice_iter(text.as_bytes()).map(|der| der.ok().and_then(read)).collect();
    let wanted = "public Ed25519 key in PEM";
    keys.filter(|keys| !keys.is_empty()).ok_or_else(|| SigningError::NoKey { path: path.to_owned(), wanted }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first test vector of RFC 8032.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn new_pair(directory: &Path, name: &str) -> PathBuf {
        let path = directory.join(name);
        let public = hex::decode(PUBLIC).unwrap().try_into().unwrap();
        save_new(&path, &hex::decode(SEED).unwrap(), &public).unwrap();
        path
    }

    #[test]
    fn a_pair_that_was_written_is_read_and_belongs_together() {
        let directory = tempfile::tempdir().unwrap();
        let path = new_pair(directory.path(), "key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let public = public_keys(&public_path(&path)).unwrap();
        assert_eq!((public.len(), hex::encode(public[0])), (1, PUBLIC.to_owned()));
        assert_eq!(hex::encode(signing_key(&path).unwrap().public()), PUBLIC);
    }

    #[test]
    fn a_file_may_hold_several_public_keys_and_only_such() {
        let directory = tempfile::tempdir().unwrap();
        let path = public_path(&new_pair(directory.path(), "key"));
        let one = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("ours\n{one}\ntheirs\n{one}")).unwrap();
        assert_eq!(public_keys(&path).unwrap().len(), 2);
        for none in ["", "ours\n", &one.replace("MCow", "MCox"), &one.replace("PUBLIC", "PRIVATE")] {
            fs::write(&path, none).unwrap();
            assert!(public_keys(&path).is_err(), "{none}");
        }
    }

    #[test]
    fn nothing_is_replaced_and_no_half_of_a_pair_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = new_pair(directory.path(), "key");
        let text = fs::read_to_string(&path).unwrap();
        assert!(save_new(&path, &[1; 32], &[2; 32]).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::remove_file(&path).unwrap();
        assert!(save_new(&path, &[1; 32], &[2; 32]).is_err(), "its public half is there");
        assert!(!path.exists());
    }

    #[test]
    fn a_private_key_that_others_may_read_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let path = new_pair(directory.path(), "key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = signing_key(&path).unwrap_err();
        assert!(error.to_string().ends_with("is open to others: its permissions are 640"), "{error}");
    }
}
