//! Signing and verifying. What is signed is the text of a checkpoint.

use std::path::Path;

use knit_schemas::checkpoint::{Checkpoint, Signed};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::{PublicKey, SigningError};

/// Bytes of the chance that a private key is.
const SEED_BYTES: usize = 32;

/// A private key, and the public one that belongs to it.
#[derive(Debug)]
pub(in crate::audit) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new key, and the bytes that are kept of it.
    pub(in crate::audit) fn generate() -> Result<(Self, [u8; SEED_BYTES]), SigningError> {
        let mut seed = [0; SEED_BYTES];
        SystemRandom::new().fill(&mut seed).map_err(|_| SigningError::NoChance)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| SigningError::NoChance)?;
        Ok((Self(pair), seed))
    }

    /// The key in a PKCS #8 document; none if it is another one.
    pub(super) fn of_pkcs8(der: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Self)
    }

    pub(in crate::audit) fn public(&self) -> PublicKey {
        self.0.public_key().as_ref().try_into().expect("a public key of Ed25519 has 32 bytes")
    }

    pub(in crate::audit) fn sign(&self, checkpoint: Checkpoint) -> Signed {
        let signature = self.0.sign(checkpoint.to_string().as_bytes());
        let signature = signature.as_ref().try_into().expect("a signature of Ed25519 has 64 bytes");
        Signed { checkpoint, key: self.public(), signature }
    }
}

/// Whether every checkpoint of the file `path` was signed with one of `keys`.
pub(super) fn are_signed_by(keys: &[PublicKey], all: &[Signed], path: &Path) -> Result<(), SigningError> {
    if let Some(Signed { checkpoint, key, .. }) = all.iter().find(|signed| !keys.contains(&signed.key)) {
        return Err(SigningError::UnknownKey { path: path.to_owned(), position: checkpoint.position, key: *key });
    }
    are_whole(all, path)
}

/// Whether every checkpoint of the file `path` is what was signed with the key that it names, whose ever that is.
pub(super) fn are_whole(all: &[Signed], path: &Path) -> Result<(), SigningError> {
    let is_forged = |signed: &&Signed| {
        let text = signed.checkpoint.to_string();
        UnparsedPublicKey::new(&ED25519, signed.key).verify(text.as_bytes(), &signed.signature).is_err()
    };
    match all.iter().find(is_forged) {
        Some(forged) => Err(SigningError::Forged { path: path.to_owned(), position: forged.checkpoint.position }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use knit_schemas::instant::Instant;

    use super::*;

    fn signed(key: &SigningKey) -> Signed {
        let time = Instant::from_unix_ms(1_741_000_000_000).unwrap();
        key.sign(Checkpoint { log: [1; 32], position: 3, chain: [3; 32], time })
    }

    #[test]
    fn only_what_was_signed_with_a_trusted_key_is_trusted() {
        let [(ours, _), (theirs, _)] = [SigningKey::generate().unwrap(), SigningKey::generate().unwrap()];
        let (file, all) = (Path::new("f"), [signed(&ours), signed(&theirs)]);
        let trusted = |keys: &[&SigningKey], all: &[Signed]| {
            let keys: Vec<PublicKey> = keys.iter().map(|key| key.public()).collect();
            are_signed_by(&keys, all, file)
        };
        assert!(trusted(&[&ours, &theirs], &all).is_ok());
        assert!(trusted(&[&ours], &all[..1]).is_ok());
        assert!(
            matches!(trusted(&[&ours], &all), Err(SigningError::UnknownKey { position: 3, key, .. }) if key == theirs.public())
        );
        assert!(are_whole(&all, file).is_ok());
    }

    #[test]
    fn every_change_of_what_was_signed_is_found() {
        let (key, _) = SigningKey::generate().unwrap();
        let whole = signed(&key);
        let changes: [fn(&mut Signed); 5] = [
            |signed| signed.checkpoint.log[0] ^= 1,
            |signed| signed.checkpoint.position += 1,
            |signed| signed.checkpoint.chain[31] ^= 1,
            |signed| signed.checkpoint.time = Instant::from_unix_ms(0).expect("the calendar begins before"),
            |signed| signed.signature[0] ^= 1,
        ];
        for change in changes {
            let mut changed = whole.clone();
            change(&mut changed);
            assert!(matches!(are_whole(&[changed], Path::new("f")), Err(SigningError::Forged { .. })));
        }
    }
}
