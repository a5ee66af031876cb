//! Implicit OP: `oidcc-implicit-certification-test-plan`, for operators who switch its response types on.

/// The plan's list, which runs for both response types.
macro_rules! implicit_modules {
    ($variant:expr) => {
        $crate::conformance::plan! {
            $variant;
            oidcc_server
            oidcc_idtoken_signature
            oidcc_ensure_request_without_nonce_fails
            oidcc_scope_profile
            oidcc_scope_email
            oidcc_scope_address
            oidcc_scope_phone
            oidcc_scope_all
            oidcc_alternate_happy_flow
            oidcc_display_page
            oidcc_display_popup
            oidcc_prompt_login
            oidcc_prompt_none_not_logged_in
            oidcc_prompt_none_logged_in
            oidcc_max_age_1
            oidcc_max_age_10000
            oidcc_ensure_request_with_unknown_parameter_succeeds
            oidcc_id_token_hint
            oidcc_login_hint
            oidcc_ui_locales
            oidcc_claims_locales
            oidcc_ensure_request_with_acr_values_succeeds
            oidcc_ensure_registered_redirect_uri
            oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported
            oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported
            oidcc_ensure_request_object_with_redirect_uri
            oidcc_claims_essential
        }
    };
}

/// What runs only where there is an access token.
macro_rules! implicit_token_modules {
    ($variant:expr) => {
        $crate::conformance::plan! {
            $variant;
            oidcc_userinfo_get
            oidcc_userinfo_post_header
            oidcc_userinfo_post_body
            oidcc_response_type_missing
        }
    };
}

pub(crate) use {implicit_modules, implicit_token_modules};

mod id_token {
    use crate::conformance::suite::Variant;

    super::implicit_modules!(Variant::ID_TOKEN);
}

mod id_token_token {
    use crate::conformance::suite::Variant;

    super::implicit_modules!(Variant::ID_TOKEN_TOKEN);
    super::implicit_token_modules!(Variant::ID_TOKEN_TOKEN);
}
