//! Versions by name.

/// `NAME` or `NAME@VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub name: String,
    pub version: Option<u64>,
}

impl std::str::FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once('@') {
            None => (text, None),
            Some((name, version)) => match version.parse::<u64>() {
                Ok(version) if version > 0 => (name, Some(version)),
                _ => {
                    return Err(format!(
                        "`{version}` is not a version; versions are whole numbers from 1"
                    ));
                }
            },
        };
        if name.is_empty() {
            return Err("write NAME or NAME@VERSION".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_name_and_maybe_a_version() {
        assert_eq!(
            "a@7".parse(),
            Ok(Reference {
                name: "a".to_owned(),
                version: Some(7)
            })
        );
        assert_eq!(
            "a".parse(),
            Ok(Reference {
                name: "a".to_owned(),
                version: None
            })
        );
        for wrong in ["a@", "a@0", "a@x", "@1", ""] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
        }
    }
}
