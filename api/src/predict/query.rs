//! What stands behind the question mark of a request for predictions.

use crate::problem::{FieldError, Problem};

/// Whether `explain=true` is there. Other names are not looked at.
///
/// # Errors
/// 422 if `explain` is neither `true` nor `false`.
pub fn wants_explanation(query: Option<&str>) -> Result<bool, Problem> {
    let mut wanted = false;
    for pair in query.unwrap_or_default().split('&') {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("explain", "true") => wanted = true,
            ("explain", "false") => wanted = false,
            ("explain", _) => {
                let fault = FieldError {
                    pointer: String::new(),
                    code: "bad_parameter",
                    message: "the query's `explain` is `true` or `false`".to_owned(),
                };
                return Err(Problem::invalid_fields(vec![fault], 1));
            }
            _ => {}
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_asks_and_nonsense_is_refused() {
        let answers = [None, Some(""), Some("explain=true"), Some("a=b&explain=false")]
            .map(|query| wants_explanation(query).ok());
        assert_eq!(answers, [Some(false), Some(false), Some(true), Some(false)]);
        assert!(wants_explanation(Some("explain=yes")).is_err());
        assert!(wants_explanation(Some("explain")).is_err());
    }
}
