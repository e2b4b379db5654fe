//! `***` in the place of secrets, in everything that an attempt says or leaves.
//!
//! A secret is recognized as it is, line by line, with URL escapes, with the escapes of JSON, and inside base64 of a
//! longer text. What cannot be recognized is a secret that was taken apart or computed with.

use std::collections::BTreeSet;
use std::ops::Range;

use ratchet_core::plugin::{Output, Outputs, TaskError, TaskMessage};
use serde_json::Value;

use crate::record::Failure;

/// What stands in the place of a secret.
const MASK: &str = "***";

/// Shorter values would hide half of any text.
const SHORTEST: usize = 4;

/// The lines into which programs break base64: MIME and PEM.
const BASE64_LINES: [usize; 2] = [76, 64];

/// The secrets of a run, as they may look.
#[derive(Clone, Default)]
pub(crate) struct Masker {
    /// Longest first, so that a secret within another one does not cut it.
    patterns: Vec<Vec<u8>>,
    /// What a match may begin with.
    first: BTreeSet<u8>,
}

impl Masker {
    /// Knows one more secret.
    pub fn add(&mut self, secret: &str) {
        let mut patterns: BTreeSet<Vec<u8>> = self.patterns.drain(..).collect();
        let lines = secret.lines().map(str::trim);
        for text in std::iter::once(secret).chain(lines) {
            if text.chars().count() < SHORTEST {
                continue;
            }
            patterns.insert(text.as_bytes().to_vec());
            patterns.insert(json_in_ascii(text).into_bytes());
            patterns.extend(in_base64(text.as_bytes()));
        }
        self.patterns = patterns.into_iter().collect();
        self.patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
        self.first = self
            .patterns
            .iter()
            .filter_map(|pattern| pattern.first())
            .copied()
            .collect();
        if !self.patterns.is_empty() {
            self.first.extend([b'%', b'+', b'\\']);
        }
    }

    /// A text without secrets.
    pub fn text(&self, text: String) -> String {
        let found = self.find(text.as_bytes());
        if found.is_empty() {
            return text;
        }
        let mut masked = Vec::with_capacity(text.len());
        let mut at = 0;
        for place in found {
            masked.extend_from_slice(&text.as_bytes()[at..place.start]);
            masked.extend_from_slice(MASK.as_bytes());
            at = place.end;
        }
        masked.extend_from_slice(&text.as_bytes()[at..]);
        String::from_utf8_lossy(&masked).into_owned()
    }

    /// Where a piece of a line that goes on may be cut without cutting a secret; the rest waits for what follows.
    pub fn safe_cut(&self, piece: &[u8]) -> usize {
        // Each byte may be escaped with six.
        let longest = self.patterns.first().map_or(0, |pattern| pattern.len() * 6);
        let cut = piece.len().saturating_sub(longest);
        let across = self
            .find(piece)
            .into_iter()
            .find(|place| place.start < cut && place.end > cut);
        across.map_or(cut, |place| place.end)
    }

    /// What a task says.
    pub fn message(&self, message: TaskMessage) -> TaskMessage {
        match message {
            TaskMessage::Log { level, message } => TaskMessage::Log {
                level,
                message: self.text(message),
            },
            TaskMessage::Progress { fraction, message } => TaskMessage::Progress {
                fraction,
                message: self.text(message),
            },
            TaskMessage::Metric { name, value, step } => TaskMessage::Metric {
                name: self.text(name),
                value,
                step,
            },
        }
    }

    /// Why something failed.
    pub fn failure(&self, failure: Failure) -> Failure {
        Failure {
            message: self.text(failure.message),
            help: failure.help.map(|help| self.text(help)),
        }
    }

    /// A task's own failure.
    pub fn error(&self, error: TaskError) -> TaskError {
        TaskError {
            message: self.text(error.message),
            help: error.help.map(|help| self.text(help)),
            retryable: error.retryable,
            outputs: self.outputs(error.outputs),
        }
    }

    /// What a task returns. Digests and the names of datasets, models and columns stay: they lead somewhere.
    pub fn outputs(&self, mut outputs: Outputs) -> Outputs {
        if self.patterns.is_empty() {
            return outputs;
        }
        let masked = |text: &mut String| *text = self.text(std::mem::take(text));
        for output in outputs.ports.values_mut() {
            match output {
                Output::Table(table) => masked(&mut table.source),
                Output::Lookup(lookup) => masked(&mut lookup.source),
                Output::Report(report) => {
                    masked(&mut report.summary);
                    masked(&mut report.file_name);
                }
                Output::Value(value) => *value = self.value(std::mem::take(value)),
                Output::Model(model) => {
                    masked(&mut model.source);
                    model.parameters = self.value(std::mem::take(&mut model.parameters));
                    model.report = self.value(std::mem::take(&mut model.report));
                }
            }
        }
        for promotion in &mut outputs.promotions {
            masked(&mut promotion.reason);
            promotion.comparison = self.value(std::mem::take(&mut promotion.comparison));
        }
        outputs
    }

    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(entries) => entries
                .into_iter()
                .map(|(key, value)| (self.text(key), self.value(value)))
                .collect(),
            Value::Number(number) => {
                let text = number.to_string();
                if self.find(text.as_bytes()).is_empty() {
                    Value::Number(number)
                } else {
                    Value::String(self.text(text))
                }
            }
            other => other,
        }
    }

    /// Where secrets stand, in order and apart from each other.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.patterns.is_empty() {
            return found;
        }
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            let end = if self.first.contains(byte) {
                let ends = self
                    .patterns
                    .iter()
                    .filter_map(|pattern| end_of_match(&text[at..], pattern));
                ends.max()
            } else {
                None
            };
            match end {
                Some(length) => {
                    found.push(at..at + length);
                    at += length;
                }
                None => at += 1,
            }
        }
        found
    }
}

/// How many bytes of the text's beginning are the pattern, each byte as it is or escaped.
fn end_of_match(text: &[u8], pattern: &[u8]) -> Option<usize> {
    let mut at = 0;
    for &wanted in pattern {
        at += escaped(&text[at..], wanted)?;
    }
    Some(at)
}

/// How many bytes stand for the one that is wanted, if they do: itself, `%2F`, `+` for a blank, `\n`, `\"`.
fn escaped(text: &[u8], wanted: u8) -> Option<usize> {
    match *text.first()? {
        found if found == wanted => Some(1),
        b'%' => {
            let digits = std::str::from_utf8(text.get(1..3)?).ok()?;
            let byte = u8::from_str_radix(digits, 16).ok()?;
            (byte == wanted && !digits.starts_with('+')).then_some(3)
        }
        b'+' if wanted == b' ' => Some(1),
        b'\\' => {
            let stands_for = match *text.get(1)? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'"' => b'"',
                b'/' => b'/',
                b'\'' => b'\'',
                _ => return None,
            };
            (stands_for == wanted).then_some(2)
        }
        _ => None,
    }
}

/// A text as JSON writes it where only ASCII may be written, as Python does.
fn json_in_ascii(text: &str) -> String {
    let mut written = String::new();
    for character in text.chars() {
        match character {
            '\\' => written.push_str("\\\\"),
            character if character.is_ascii() => written.push(character),
            character => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    written.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    written
}

/// The base64 of a secret, alone and at each of the three places that it can have inside a longer text, whole and in
/// the lines into which programs break it.
fn in_base64(secret: &[u8]) -> Vec<Vec<u8>> {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const FOR_ADDRESSES: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut patterns = Vec::new();
    for alphabet in [STANDARD, FOR_ADDRESSES] {
        for before in 0..3_usize {
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(secret);
            let bits = bytes.len() * 8;
            let sextet = |number: usize| {
                let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0);
                let index = (0..6).fold(0, |index, place| (index << 1) | usize::from(bit(number * 6 + place)));
                alphabet[index]
            };
            // Only signs that the secret alone decides; at the end, alone, also the one that is filled up.
            let whole: Vec<u8> = ((before * 8).div_ceil(6)..bits / 6).map(sextet).collect();
            if before == 0 {
                let mut alone: Vec<u8> = (0..bits.div_ceil(6)).map(sextet).collect();
                patterns.push(alone.clone());
                while !alone.len().is_multiple_of(4) {
                    alone.push(b'=');
                }
                patterns.push(alone);
            }
            for line in BASE64_LINES.into_iter().filter(|line| whole.len() > *line) {
                patterns.extend(whole.chunks(line).filter(|chunk| chunk.len() >= 8).map(<[u8]>::to_vec));
            }
            patterns.push(whole);
        }
    }
    patterns
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn masker(secrets: &[&str]) -> Masker {
        let mut masker = Masker::default();
        secrets.iter().for_each(|secret| masker.add(secret));
        masker
    }

    fn masked(secret: &str, text: &str) -> String {
        masker(&[secret]).text(text.to_owned())
    }

    #[test]
    fn secrets_are_masked_as_they_are_and_escaped() {
        let secret = "p@ss w/\"rd";
        for (text, expected) in [
            ("a p@ss w/\"rd b p@ss w/\"rd", "a *** b ***"),
            ("x=p%40ss%20w%2F%22rd&y", "x=***&y"),
            ("x=p%40ss+w%2f%22rd&y", "x=***&y"),
            (r#"{"a":"p@ss w/\"rd"}"#, r#"{"a":"***"}"#),
            ("cEBzcyB3LyJyZA==", "***"),
            ("cEBzcyB3LyJyZA", "***"),
            ("pass word", "pass word"),
        ] {
            assert_eq!(masked(secret, text), expected);
        }
    }

    #[test]
    fn inside_a_longer_base64_little_of_it_is_left() {
        // `user:` and `hunter2hunter2`, as in basic authentication.
        assert_eq!(
            masked("hunter2hunter2", "Basic dXNlcjpodW50ZXIyaHVudGVyMg=="),
            "Basic dXNlcjp***g=="
        );
    }

    #[test]
    fn each_line_of_a_long_secret_and_of_its_base64_is_masked() {
        let key = "-----BEGIN-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nabcdefgh\n";
        assert_eq!(masked(key, "abcdefgh"), "***");
        assert_eq!(masked(key, "-----BEGIN----- x"), "*** x");
        let long = "0123456789".repeat(12);
        let encoded = String::from_utf8(in_base64(long.as_bytes()).remove(0)).unwrap();
        assert_eq!(masked(&long, &encoded[..76]), "***");
        assert_eq!(masked(&long, &encoded[64..128]), "***");
    }

    #[test]
    fn short_values_stay_and_longer_secrets_win() {
        assert_eq!(masked("abc", "abc"), "abc");
        assert_eq!(
            masker(&["abcd", "abcdefgh"]).text("abcdefgh abcd".to_owned()),
            "*** ***"
        );
        assert_eq!(
            masked("żółw", "\\u017c\\u00f3\\u0142w żółw %C5%BC%C3%B3%C5%82w"),
            "*** *** ***"
        );
    }

    #[test]
    fn values_are_masked_through_and_through() {
        let masker = masker(&["123456", "hunter2"]);
        let value = masker.value(json!({ "hunter2": [123456, 12, "a hunter2", true], "n": { "m": 1.5 } }));
        assert_eq!(value, json!({ "***": ["***", 12, "a ***", true], "n": { "m": 1.5 } }));
    }

    proptest! {
        #[test]
        fn no_cut_leaves_a_half(before in "[a-z ]{0,40}", after in "[a-z ]{0,200}", cut in 0_usize..240) {
            let masker = masker(&["hunter2"]);
            let line = format!("{before}hunter2{after}");
            let piece = &line.as_bytes()[..cut.min(line.len())];
            let safe = masker.safe_cut(piece);
            let (first, rest) = line.split_at(safe);
            let shown = format!("{}{}", masker.text(first.to_owned()), masker.text(rest.to_owned()));
            prop_assert_eq!(shown, format!("{before}***{after}"));
        }

        #[test]
        fn no_text_panics_and_what_holds_no_secret_stays(text in "\\PC{0,60}") {
            let shown = masker(&["zz%00zz", "\u{1F980}\u{1F980}\u{1F980}\u{1F980}"]).text(text.clone());
            prop_assert!(shown == text || shown.contains(MASK));
        }

        #[test]
        fn every_secret_is_found_at_every_place_of_base64(before in prop::collection::vec(any::<u8>(), 0..5)) {
            let mut bytes = before;
            bytes.extend(b"correct horse battery");
            let encoded = in_base64(&bytes).into_iter().next().unwrap();
            let shown = masked("correct horse battery", &String::from_utf8(encoded).unwrap());
            prop_assert!(shown.contains(MASK), "{}", shown);
        }
    }
}
