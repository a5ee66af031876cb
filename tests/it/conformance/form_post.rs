//! Form Post OP: `oidcc-formpost-basic-certification-test-plan`, and those of the legacy response types: the same lists, with
//! `response_mode=form_post` in each request.

mod basic {
    use crate::conformance::suite::Variant;

    crate::conformance::basic::basic_modules!(Variant::CODE.by_form_post());
}

mod id_token {
    use crate::conformance::suite::Variant;

    crate::conformance::implicit::implicit_modules!(Variant::ID_TOKEN.by_form_post());
}

mod id_token_token {
    use crate::conformance::suite::Variant;

    crate::conformance::implicit::implicit_modules!(Variant::ID_TOKEN_TOKEN.by_form_post());
    crate::conformance::implicit::implicit_token_modules!(Variant::ID_TOKEN_TOKEN.by_form_post());
}

mod code_id_token {
    use crate::conformance::suite::Variant;

    crate::conformance::hybrid::hybrid_modules!(Variant::CODE_ID_TOKEN.by_form_post());
    crate::conformance::hybrid::hybrid_id_token_modules!(Variant::CODE_ID_TOKEN.by_form_post());
    crate::conformance::hybrid::hybrid_first_modules!(Variant::CODE_ID_TOKEN.by_form_post());
}

mod code_token {
    use crate::conformance::suite::Variant;

    crate::conformance::hybrid::hybrid_modules!(Variant::CODE_TOKEN.by_form_post());
    crate::conformance::hybrid::hybrid_token_modules!(Variant::CODE_TOKEN.by_form_post());
}

mod code_id_token_token {
    use crate::conformance::suite::Variant;

    crate::conformance::hybrid::hybrid_modules!(Variant::CODE_ID_TOKEN_TOKEN.by_form_post());
    crate::conformance::hybrid::hybrid_id_token_modules!(Variant::CODE_ID_TOKEN_TOKEN.by_form_post());
}
