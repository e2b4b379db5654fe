//! Numbers in messages.

/// A count with separators: `32,247`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let written: Vec<String> = [0, 999, 1000, 32_247, 1_895_677].into_iter().map(count).collect();
        assert_eq!(written, ["0", "999", "1,000", "32,247", "1,895,677"]);
    }
}
