//! The pages on which a person connects a device (RFC 8628 §3.3).

use askama::Template;

use super::{App, Person, Problem, Site};
use crate::pages::words::ScopeLine;

/// `/device`. Posts `csrf` and `user_code`.
#[derive(Clone, Debug, Template)]
#[template(path = "device/enter.html")]
pub struct EnterDeviceCode {
    pub site: Site,
    pub csrf: String,
    /// What was typed before.
    pub user_code: String,
    pub problem: Option<Problem>,
}

/// `/device?user_code=…`. Posts `csrf`, `user_code` and `decision`, which is `allow` or `deny`, to `/device/confirm`. Neither button looks as
/// if it were the expected one: a person who was lured here must not press it by habit.
#[derive(Clone, Debug, Template)]
#[template(path = "device/confirm.html")]
pub struct ConfirmDevice {
    pub site: Site,
    pub csrf: String,
    /// With its hyphen.
    pub user_code: String,
    pub app: App,
    pub person: Person,
    pub scopes: Vec<ScopeLine>,
    /// When the device asked: "2 minutes ago".
    pub asked: String,
    /// From where.
    pub from: String,
}

impl ConfirmDevice {
    fn another_account(&self) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("device", &self.user_code)
            .append_pair("account", "another")
            .finish();
        format!("{}/login?{query}", self.site.base)
    }
}

/// `/device/allowed` and `/device/denied`.
#[derive(Clone, Debug, Template)]
#[template(path = "device/done.html")]
pub struct DeviceDone {
    pub site: Site,
    pub allowed: bool,
}
