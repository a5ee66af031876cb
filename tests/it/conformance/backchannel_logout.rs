//! Back-Channel Logout OP: `oidcc-backchannel-rp-initiated-logout-certification-test-plan`.

use super::plan;
use super::suite::Variant;

plan! {
    Variant::CODE;
    oidcc_backchannel_logout_discovery_endpoint_verification
    oidcc_backchannel_rp_initiated_logout
}
