//! Hybrid OP: `oidcc-hybrid-certification-test-plan`, for operators who switch its response types on.

/// The plan's list, which runs for all three response types.
macro_rules! hybrid_modules {
    ($variant:expr) => {
        $crate::conformance::plan! {
            $variant;
            oidcc_server
            oidcc_idtoken_signature
            oidcc_userinfo_get
            oidcc_userinfo_post_header
            oidcc_userinfo_post_body
            oidcc_scope_profile
            oidcc_scope_email
            oidcc_scope_address
            oidcc_scope_phone
            oidcc_scope_all
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
            oidcc_codereuse
            oidcc_codereuse_30seconds
            oidcc_ensure_registered_redirect_uri
            oidcc_server_client_secret_post
            oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported
            oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported
            oidcc_claims_essential
            oidcc_ensure_request_object_with_redirect_uri
            oidcc_refresh_token
        }
    };
}

/// What runs only where the authorization endpoint gives an ID token.
macro_rules! hybrid_id_token_modules {
    ($variant:expr) => {
        $crate::conformance::plan! {
            $variant;
            oidcc_ensure_request_without_nonce_fails
        }
    };
}

/// What runs only where it gives none.
macro_rules! hybrid_token_modules {
    ($variant:expr) => {
        $crate::conformance::plan! {
            $variant;
            oidcc_ensure_request_without_nonce_succeeds_for_code_flow
        }
    };
}

/// What runs once, for the first response type.
macro_rules! hybrid_first_modules {
    ($variant:expr) => {
        $crate::conformance::plan! {
            $variant;
            oidcc_response_type_missing
            oidcc_alternate_happy_flow
            oidcc_ensure_request_with_valid_pkce_succeeds
        }
    };
}

pub(crate) use {hybrid_first_modules, hybrid_id_token_modules, hybrid_modules, hybrid_token_modules};

mod code_id_token {
    use crate::conformance::suite::Variant;

    super::hybrid_modules!(Variant::CODE_ID_TOKEN);
    super::hybrid_id_token_modules!(Variant::CODE_ID_TOKEN);
    super::hybrid_first_modules!(Variant::CODE_ID_TOKEN);
}

mod code_token {
    use crate::conformance::suite::Variant;

    super::hybrid_modules!(Variant::CODE_TOKEN);
    super::hybrid_token_modules!(Variant::CODE_TOKEN);
}

mod code_id_token_token {
    use crate::conformance::suite::Variant;

    super::hybrid_modules!(Variant::CODE_ID_TOKEN_TOKEN);
    super::hybrid_id_token_modules!(Variant::CODE_ID_TOKEN_TOKEN);
}
