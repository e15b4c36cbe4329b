//! Reading DER (X.690), as far as certificates need it: tags, lengths, values.
//! What the values mean is known where they are asked for.

/// What is left of a series of DER values (X.690). No value is looked into unless asked for, and
/// what is read gets shorter each time.
pub(super) struct Der<'a>(pub(super) &'a [u8]);

impl<'a> Der<'a> {
    /// Takes the next value, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        self.take_optional(tag)?.ok_or(Malformed)
    }

    /// Takes the next value if it has this tag.
    pub(super) fn take_optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        let Some(rest) = self.0.strip_prefix(&[tag]) else { return Ok(None) };
        let (length, rest) = length(rest).ok_or(Malformed)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(Some(value))
    }

    /// Takes the next value with its tag, if there is one more.
    pub(super) fn take_any(&mut self) -> Result<Option<(u8, &'a [u8])>, Malformed> {
        let Some(&tag) = self.0.first() else { return Ok(None) };
        Ok(Some((tag, self.take(tag)?)))
    }

    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// What was to be DER is none, or is something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the DER that it should be")]
pub(super) struct Malformed;

/// Reads a length in its shortest form, the only one in DER, and below 2^24, as in TLS.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (digits, least) = match first {
        0..=0x7f => return Some((first.into(), rest)),
        0x81 => (1, 0x80),
        0x82 => (2, 0x100),
        0x83 => (3, 0x1_0000),
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(digits)?;
    let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
    (length >= least).then_some((length, rest))
}

pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const EXPLICIT_0: u8 = 0xa0;
pub(super) const EXPLICIT_1: u8 = 0xa1;
pub(super) const EXPLICIT_2: u8 = 0xa2;
pub(super) const EXPLICIT_3: u8 = 0xa3;
