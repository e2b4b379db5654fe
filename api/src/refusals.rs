//! What several routes refuse alike, for the OpenAPI document.

use utoipa::IntoResponses;

use crate::access::token::TokenError;
use crate::open_inference::refusal::Refusal;
use crate::problem::Problem;

/// Of a route that takes a JSON document.
#[derive(IntoResponses)]
pub enum BodyRefusals {
    /// The body is not JSON
    #[response(status = 400, content_type = "application/problem+json")]
    Broken(Problem),
    /// The body is too long
    #[response(status = 413, content_type = "application/problem+json")]
    TooLong(Problem),
    /// The body is declared as none of the types that are read
    #[response(status = 415, content_type = "application/problem+json")]
    OtherType(Problem),
    /// Some fields are not valid; all are listed
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
}

/// Of a route that takes a form of OAuth2.
#[derive(IntoResponses)]
pub enum FormRefusals {
    /// The form is too long
    #[response(status = 413)]
    TooLong(TokenError),
    /// The body is no form
    #[response(status = 415)]
    NoForm(TokenError),
}

/// Of a route that adds a user.
#[derive(IntoResponses)]
pub enum UserRefusals {
    /// The name is taken
    #[response(status = 409, content_type = "application/problem+json")]
    NameTaken(Problem),
}

/// Of a route that starts a run of the engine.
#[derive(IntoResponses)]
pub enum RunRefusals {
    /// A run is under way, or the last one began too short a time ago
    #[response(status = 409, content_type = "application/problem+json")]
    NotNow(Problem),
}

/// Of a route that answers for a model under `/v2`.
#[derive(IntoResponses)]
pub enum ModelRefusals {
    /// No such model or version
    #[response(status = 404)]
    Unknown(Refusal),
    /// The model is not loaded
    #[response(status = 503)]
    NotLoaded(Refusal),
}

/// Of a route that takes a model into service or out of it.
#[derive(IntoResponses)]
pub enum RepositoryRefusals {
    /// It could not be done; the error says why
    #[response(status = 400)]
    NotDone(Refusal),
    /// No such model
    #[response(status = 404)]
    Unknown(Refusal),
}

/// Of a route that takes tensors.
#[derive(IntoResponses)]
pub enum TensorRefusals {
    /// The request is not what the protocol or the model asks for
    #[response(status = 400)]
    Bad(Refusal),
    /// The body is too long
    #[response(status = 413)]
    TooLong(Refusal),
    /// The model cannot be explained
    #[response(status = 422)]
    NotExplainable(Refusal),
}
