//! Bytes as text.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};

use super::Function;
use super::arguments::{text, wanted};
use crate::expr::datum::Datum;
use crate::expr::eval::{Eval, Evaluated};

/// The functions of this family.
pub(super) static FUNCTIONS: [Function; 2] = [
    Function::global(
        "base64.encode",
        (1, 1),
        encode,
        [
            "base64.encode(bytes)",
            "base64 text of bytes",
            "bytes / 4",
            "base64.encode(b'hello')",
            "\"aGVsbG8=\"",
        ],
    ),
    Function::global(
        "base64.decode",
        (1, 1),
        decode,
        [
            "base64.decode(text)",
            "bytes of base64 text; padding may be missing",
            "bytes / 8",
            "string(base64.decode('aGVsbG8'))",
            "\"hello\"",
        ],
    ),
];

/// As lenient as cel-go: padding may be missing, bits that are left over may be anything.
const DECODER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn encode<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let bytes = arguments[0].as_bytes().ok_or_else(|| wanted("bytes", &arguments[0]))?;
    eval.budget.make(bytes.len() * 2)?;
    Ok(Datum::string(general_purpose::STANDARD.encode(bytes)))
}

fn decode<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let text = text(&arguments[0])?;
    eval.budget.make(text.len())?;
    let bytes = DECODER.decode(text).map_err(|_| "not base64")?;
    Ok(Datum::MadeBytes(bytes.into()))
}
