//! Front-Channel Logout OP: `oidcc-frontchannel-rp-initiated-logout-certification-test-plan`.

use super::plan;
use super::suite::Variant;

plan! {
    Variant::CODE;
    oidcc_frontchannel_logout_discovery_endpoint_verification
    oidcc_frontchannel_rp_initiated_logout
}
