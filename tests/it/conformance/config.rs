//! Config OP: `oidcc-config-certification-test-plan`.

use super::plan;
use super::suite::Variant;

plan! {
    Variant::STATIC;
    oidcc_discovery_endpoint_verification
}
