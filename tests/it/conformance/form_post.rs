//! Form Post OP: `oidcc-formpost-basic-certification-test-plan`, and those of the legacy response types: the same lists, with
//! `response_mode=form_post` in each request.

mod basic {
    use crate::conformance::suite::Variant;

    crate::conformance::basic::basic_modules!(Variant::CODE.by_form_post());
}
