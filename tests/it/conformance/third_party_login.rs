//! 3rd-Party Initiated Login OP: `oidcc-3rdparty-init-login-certification-test-plan`.

use super::plan;
use super::suite::Variant;

plan! {
    Variant::CODE;
    oidcc_3rd_party_init_login
    oidcc_3rd_party_init_login_nohttps
}
