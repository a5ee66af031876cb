//! The OpenID Foundation's certification plans, module by module: a test for each, with the module's name, what it sends and what must come
//! back. A file for each plan lists its modules; `modules` has their bodies, which run in every plan and variant that has them; `suite` and
//! the files beside it are a relying party of the suite's kind, with the checks that every module makes. What the suite only warns of is a
//! failure here. `docs/conformance.md` is the list for people.

mod answer;
mod backchannel_logout;
mod basic;
mod client;
mod config;
mod dynamic;
mod form_post;
mod frontchannel_logout;
mod hybrid;
mod id_token;
mod implicit;
mod keys;
mod metadata;
mod modules;
mod page;
mod request;
mod rp_initiated_logout;
mod setup;
mod suite;
mod third_party_login;
mod tokens;
mod user_info;

/// The list of a plan: for each module, a test of its name that runs the module's body with the plan's variant.
macro_rules! plan {
    ($variant:expr; $($module:ident)+) => {$(
        #[tokio::test]
        async fn $module() {
            let mut suite = $crate::conformance::suite::Suite::new($variant).await;
            $crate::conformance::modules::$module(&mut suite).await;
            suite.clean_up().await;
        }
    )+};
}

pub(crate) use plan;
