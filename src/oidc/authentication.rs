//! How a person signed in, in the terms of the protocol: `amr` (RFC 8176) says what was used, `acr` what that amounts to.

/// `acr` of a sign-in by password alone.
pub const ACR_PASSWORD: &str = "urn:tessera:acr:password";

/// Every `acr` that signing in here can reach, the weakest first.
pub const ACR_VALUES: &[&str] = &[ACR_PASSWORD];

/// What a sign-in by these methods amounts to. None where it was none of ours: nothing is claimed then.
pub fn acr_of(amr: &[String]) -> Option<&'static str> {
    amr.iter().any(|method| method == "pwd").then_some(ACR_PASSWORD)
}

/// Whether signing in again may reach one of these.
pub fn is_reachable(wanted: &[String]) -> bool {
    wanted.iter().any(|acr| ACR_VALUES.contains(&acr.as_str()))
}
