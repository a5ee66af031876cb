//! A stored hash: reading it from its PHC string, writing it, computing and comparing it.

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Of new hashes.
pub(super) const OUTPUT_BYTES: usize = 32;
pub(super) const SALT_BYTES: usize = 16;

/// Bounds for hashes that were made elsewhere: a row of the database must not be able to take all memory or a core for minutes.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_ITERATIONS: u32 = 100;
const MAX_PARALLELISM: u32 = 64;

/// An argon2 hash with its parameters and salt.
#[derive(Clone)]
pub(super) struct Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Hash {
    /// A hash of the kind we make: argon2id, version 1.3 (RFC 9106).
    pub(super) fn new(params: Params, salt: &[u8; SALT_BYTES], output: &[u8; OUTPUT_BYTES]) -> Self {
        Self { algorithm: Algorithm::Argon2id, version: Version::V0x13, params, salt: salt.to_vec(), output: output.to_vec() }
    }

    /// The same parameters and salt with another output.
    pub(super) fn with_output(&self, output: &[u8]) -> Self {
        Self { output: output.to_vec(), ..self.clone() }
    }

    /// The memory it takes to compute it, in blocks of 1 KiB.
    pub(super) fn block_count(&self) -> usize {
        self.params.block_count()
    }

    /// The output for `password`, in `blocks` of at least `block_count`. `None` if argon2 refuses, which the bounds rule out.
    pub(super) fn compute(&self, password: &[u8], blocks: &mut [Block]) -> Option<Zeroizing<Vec<u8>>> {
        let mut output = Zeroizing::new(vec![0; self.output.len()]);
        Argon2::new(self.algorithm, self.version, self.params.clone())
            .hash_password_into_with_memory(password, &self.salt, &mut output, blocks)
            .ok()?;
        Some(output)
    }

    /// Compares in constant time.
    pub(super) fn matches(&self, output: &[u8]) -> bool {
        self.output.ct_eq(output).into()
    }

    /// Whether a new hash under `params` would be of the same kind and strength.
    pub(super) fn is_current(&self, params: &Params) -> bool {
        let strength = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        self.algorithm == Algorithm::Argon2id
            && self.version == Version::V0x13
            && strength(&self.params) == strength(params)
            && self.output.len() == OUTPUT_BYTES
            && self.salt.len() >= SALT_BYTES
    }
}

/// Whether hashes with `params` are verified at all.
pub(super) fn check_bounds(params: &Params) -> Result<(), &'static str> {
    if params.m_cost() > MAX_MEMORY_KIB {
        return Err("more than 1 GiB of memory");
    }
    if params.t_cost() > MAX_ITERATIONS {
        return Err("more than 100 iterations");
    }
    if params.p_cost() > MAX_PARALLELISM {
        return Err("more than 64 lanes");
    }
    Ok(())
}

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let parsed = PasswordHash::new(text).map_err(|_| "it is not a PHC string")?;
        let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).map_err(|_| "it is not argon2")?;
        // A string without a version is from before version 1.3.
        let version = parsed.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(|_| "unknown version of argon2")?;
        let params = Params::try_from(&parsed).map_err(|_| "parameters that argon2 does not allow")?;
        check_bounds(&params)?;
        let (salt, output) = (parsed.salt.ok_or("it has no salt")?, parsed.hash.ok_or("it has no output")?);
        if salt.len() < argon2::MIN_SALT_LEN {
            return Err("its salt is too short");
        }
        if output.len() < SALT_BYTES {
            return Err("its output is too short");
        }
        Ok(Self { algorithm, version, params, salt: salt.to_vec(), output: output.as_bytes().to_vec() })
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (m, t, p) = (self.params.m_cost(), self.params.t_cost(), self.params.p_cost());
        let [salt, output] = [&self.salt, &self.output].map(|bytes| STANDARD_NO_PAD.encode(bytes));
        write!(f, "${}$v={}$m={m},t={t},p={p}${salt}${output}", self.algorithm.as_str(), u32::from(self.version))
    }
}
