//! A tensor as it is sent: in JSON, or in bytes behind it.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Types of elements that are read. FP16 and BF16 are not: their numbers are too coarse for what models are trained on.
const DATATYPES: [&str; 12] = [
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP32", "FP64", "BYTES",
];

/// One input: a value per row.
#[derive(Debug, PartialEq)]
pub struct Tensor {
    /// Name of the field.
    pub name: String,
    /// True for a shape of `[n, 1]`, false for `[n]`.
    pub upright: bool,
    /// One value per row: what JSON would send to `/predict`.
    pub values: Vec<Value>,
}

impl Tensor {
    /// Reads an input. `binary` holds what follows the JSON and has not been read; a tensor in bytes is taken from its front.
    ///
    /// # Errors
    /// 400 with the input's name and what is wrong with its type, shape or data.
    pub fn read(input: &Map<String, Value>, binary: &mut &[u8]) -> Result<Tensor, Refusal> {
        let Some(Value::String(name)) = input.get("name") else {
            return Err(Refusal::bad(
                "an input has no name; name the field of the model that it holds",
            ));
        };
        let bad = |problem: String| Refusal::bad(format!("the input '{name}' {problem}"));
        let datatype = input.get("datatype").and_then(Value::as_str).unwrap_or_default();
        if !DATATYPES.contains(&datatype) {
            return Err(bad(format!(
                "has a datatype that is not read; use one of {}",
                DATATYPES.join(", ")
            )));
        }
        let (rows, upright) = shape(input.get("shape")).map_err(&bad)?;
        let size = input
            .get("parameters")
            .and_then(|parameters| parameters.get("binary_data_size"));
        let values = match (input.get("data"), size.map(Value::as_u64)) {
            (Some(data), None) => from_json(data, datatype),
            (None, Some(Some(size))) => {
                let part = usize::try_from(size)
                    .ok()
                    .and_then(|size| binary.split_at_checked(size));
                let (own, rest) = part.ok_or_else(|| bad(format!("announces {size} bytes, fewer follow the JSON")))?;
                *binary = rest;
                from_bytes(own, datatype)
            }
            _ => Err("needs either `data` or a whole number `binary_data_size` in its parameters".to_owned()),
        };
        let values = values.map_err(&bad)?;
        if values.len() != rows {
            return Err(bad(format!("has {} values, its shape says {rows}", values.len())));
        }
        Ok(Tensor {
            name: name.clone(),
            upright,
            values,
        })
    }
}

fn shape(shape: Option<&Value>) -> Result<(usize, bool), String> {
    let numbers: Option<Vec<u64>> = shape
        .and_then(Value::as_array)
        .and_then(|sizes| sizes.iter().map(Value::as_u64).collect());
    match numbers.as_deref() {
        Some([rows]) => Ok((*rows as usize, false)),
        Some([rows, 1]) => Ok((*rows as usize, true)),
        _ => Err("needs the shape [n] or [n, 1]: one value for each of n rows".to_owned()),
    }
}

fn from_json(data: &Value, datatype: &str) -> Result<Vec<Value>, String> {
    let mut flat = Vec::new();
    flatten(data, &mut flat)?;
    let convert = |(place, value): (usize, &Value)| {
        element(value, datatype).ok_or_else(|| format!("has an element that is no {datatype} at {place}"))
    };
    flat.into_iter().enumerate().map(convert).collect()
}

/// Row-major, flat or nested, as the protocol allows both.
fn flatten<'a>(data: &'a Value, flat: &mut Vec<&'a Value>) -> Result<(), String> {
    let Value::Array(items) = data else {
        return Err("needs a list as its `data`".to_owned());
    };
    for item in items {
        match item {
            Value::Array(_) => flatten(item, flat)?,
            item => flat.push(item),
        }
    }
    Ok(())
}

fn element(value: &Value, datatype: &str) -> Option<Value> {
    match (value, datatype) {
        // Missing, which the field may allow.
        (Value::Null, _) => Some(Value::Null),
        (Value::String(_), "BYTES") | (Value::Bool(_), "BOOL") => Some(value.clone()),
        (Value::Number(_), "FP64") => Some(value.clone()),
        (Value::Number(number), "FP32") => {
            let single = number.as_f64()? as f32;
            single.is_finite().then(|| Value::from(f64::from(single)))
        }
        (Value::Number(number), _) if datatype.starts_with("INT") || datatype.starts_with("UINT") => {
            let bits: u32 = datatype
                .trim_start_matches("UINT")
                .trim_start_matches("INT")
                .parse()
                .ok()?;
            let fits = match (datatype.starts_with('U'), number.as_u64(), number.as_i64()) {
                (true, Some(whole), _) => bits == 64 || whole < 1 << bits,
                (false, _, Some(whole)) => bits == 64 || (-(1_i64 << (bits - 1))..1 << (bits - 1)).contains(&whole),
                _ => false,
            };
            fits.then(|| value.clone())
        }
        _ => None,
    }
}

/// Elements in bytes, little-endian; texts each after their length in four bytes.
fn from_bytes(bytes: &[u8], datatype: &str) -> Result<Vec<Value>, String> {
    match datatype {
        "BYTES" => texts(bytes),
        "BOOL" => Ok(bytes.iter().map(|byte| Value::from(*byte != 0)).collect()),
        "UINT8" => numbers(bytes, |[byte]| Value::from(byte)),
        "INT8" => numbers(bytes, |bytes| Value::from(i8::from_le_bytes(bytes))),
        "UINT16" => numbers(bytes, |bytes| Value::from(u16::from_le_bytes(bytes))),
        "INT16" => numbers(bytes, |bytes| Value::from(i16::from_le_bytes(bytes))),
        "UINT32" => numbers(bytes, |bytes| Value::from(u32::from_le_bytes(bytes))),
        "INT32" => numbers(bytes, |bytes| Value::from(i32::from_le_bytes(bytes))),
        "UINT64" => numbers(bytes, |bytes| Value::from(u64::from_le_bytes(bytes))),
        "INT64" => numbers(bytes, |bytes| Value::from(i64::from_le_bytes(bytes))),
        // NaN becomes null: missing, as it is in every table.
        "FP32" => numbers(bytes, |bytes| Value::from(f64::from(f32::from_le_bytes(bytes)))),
        _ => numbers(bytes, |bytes| Value::from(f64::from_le_bytes(bytes))),
    }
}

fn numbers<const WIDTH: usize>(bytes: &[u8], read: impl Fn([u8; WIDTH]) -> Value) -> Result<Vec<Value>, String> {
    let (chunks, rest) = bytes.as_chunks::<WIDTH>();
    match rest {
        [] => Ok(chunks.iter().map(|chunk| read(*chunk)).collect()),
        _ => Err(format!("has {} bytes, no multiple of {WIDTH}", bytes.len())),
    }
}

fn texts(mut bytes: &[u8]) -> Result<Vec<Value>, String> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let cut = || format!("breaks off in element {}", texts.len());
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let (text, rest) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or_else(cut)?;
        let text =
            std::str::from_utf8(text).map_err(|_| format!("has an element that is not UTF-8 at {}", texts.len()))?;
        texts.push(Value::from(text));
        bytes = rest;
    }
    Ok(texts)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(input: &Value, mut binary: &[u8]) -> Result<Tensor, String> {
        Tensor::read(input.as_object().unwrap(), &mut binary).map_err(|refusal| refusal.error)
    }

    #[test]
    fn nested_and_flat_data_are_the_same_rows() {
        let nested = json!({"name": "x", "datatype": "FP64", "shape": [2, 1], "data": [[0.1], [null]]});
        let flat = json!({"name": "x", "datatype": "FP64", "shape": [2], "data": [0.1, null]});
        assert_eq!(read(&nested, b"").unwrap().values, read(&flat, b"").unwrap().values);
        assert!(read(&nested, b"").unwrap().upright);
    }

    #[test]
    fn elements_are_what_their_type_says() {
        let value = |datatype: &str, data: Value| {
            let input = json!({"name": "x", "datatype": datatype, "shape": [1], "data": [data]});
            read(&input, b"").map(|tensor| tensor.values[0].clone()).ok()
        };
        assert_eq!(value("FP32", json!(0.1)), Some(json!(f64::from(0.1_f32))));
        assert_eq!(value("FP32", json!(1e300)), None);
        assert_eq!(value("INT8", json!(-128)), Some(json!(-128)));
        assert_eq!(value("INT8", json!(128)), None);
        assert_eq!(value("UINT8", json!(256)), None);
        assert_eq!(value("UINT64", json!(u64::MAX)), Some(json!(u64::MAX)));
        assert_eq!(value("INT64", json!(1.5)), None);
        assert_eq!(value("FP64", json!("1")), None);
        assert_eq!(value("BYTES", json!("a")), Some(json!("a")));
        assert_eq!(value("FP16", json!(1.0)), None);
    }

    #[test]
    fn bytes_behind_the_json_are_taken_one_tensor_after_the_other() {
        let number = json!({"name": "x", "datatype": "FP64", "shape": [2], "parameters": {"binary_data_size": 16}});
        let text = json!({"name": "y", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 9}});
        let content = [
            &0.1_f64.to_le_bytes()[..],
            &f64::NAN.to_le_bytes(),
            b"\x01\0\0\0a\0\0\0\0rest",
        ]
        .concat();
        let mut binary = content.as_slice();
        let mut next = |input: &Value| Tensor::read(input.as_object().unwrap(), &mut binary).unwrap().values;
        assert_eq!(next(&number), [json!(0.1), Value::Null]);
        assert_eq!(next(&text), [json!("a"), json!("")]);
        assert_eq!(binary, b"rest");
    }

    #[test]
    fn what_does_not_fit_its_shape_is_refused_and_named() {
        let input = |shape: Value, data: Value| json!({"name": "x", "datatype": "FP64", "shape": shape, "data": data});
        for (shape, data) in [
            (json!([3]), json!([1.0])),
            (json!([1, 2]), json!([1.0, 2.0])),
            (json!([-1]), json!([1.0])),
            (json!([]), json!([1.0])),
            (json!(1), json!([1.0])),
            (json!([1]), json!(1.0)),
            (json!([u64::MAX]), json!([1.0])),
        ] {
            let error = read(&input(shape.clone(), data), b"").unwrap_err();
            assert!(error.contains("'x'"), "{shape}: {error}");
        }
        let bytes = |datatype: &str, size: i64| json!({"name": "x", "datatype": datatype, "shape": [1], "parameters": {"binary_data_size": size}});
        for (datatype, size, binary) in [
            ("FP64", 8, &b"1234567"[..]),
            ("FP64", 7, b"1234567"),
            ("BYTES", 6, b"\xff\xff\xff\xffab"),
            ("FP64", -1, b""),
        ] {
            assert!(read(&bytes(datatype, size), binary).is_err(), "{datatype} {size}");
        }
    }
}
