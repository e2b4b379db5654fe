//! What may be chosen about who may ask.

use std::net::IpAddr;

use uuid::Uuid;

use super::limit::{Limits, Rate};

/// Registrations from one address: one a minute, ten at once.
const REGISTRATIONS: Rate = Rate {
    per_second: 1.0 / 60.0,
    burst: 10.0,
};
/// Wrong passwords from one address, whatever the names: one in two seconds, thirty at once.
const WRONG_PASSWORDS: Rate = Rate {
    per_second: 0.5,
    burst: 30.0,
};

/// Evaluations that one user may ask for: one an hour.
const EVALUATIONS: Rate = Rate {
    per_second: 1.0 / 3600.0,
    burst: 1.0,
};

/// What the command line and the environment say.
#[derive(Clone, Debug, Default)]
pub struct AccessOptions {
    /// Whether everybody may register.
    pub registration: bool,
    /// Requests a second that one user or key may send; any number if there is none.
    pub requests_per_second: Option<f64>,
    /// Origins whose pages may ask (CORS); none: only pages of this service itself.
    pub origins: Vec<String>,
}

/// The same at work.
#[derive(Debug)]
pub struct AccessState {
    /// Whether everybody may register.
    pub registration: bool,
    /// By user or key.
    pub limits: Option<Limits<Uuid>>,
    /// By user.
    pub evaluations: Limits<Uuid>,
    /// By address.
    pub registrations: Limits<Option<IpAddr>>,
    /// By address.
    pub wrong_passwords: Limits<Option<IpAddr>>,
}

impl AccessState {
    /// With nothing counted yet.
    pub fn new(options: &AccessOptions) -> AccessState {
        AccessState {
            registration: options.registration,
            limits: options
                .requests_per_second
                .map(|per_second| Limits::new(Rate::per_second(per_second))),
            evaluations: Limits::new(EVALUATIONS),
            registrations: Limits::new(REGISTRATIONS),
            wrong_passwords: Limits::new(WRONG_PASSWORDS),
        }
    }
}
