//! The normal form NFKC of a text. In browsers and Node.js it is JavaScript's, whose engines have the
//! tables of Unicode already; they would be a fifth of a module of wasm.

#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub(crate) fn nfkc(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    text.nfkc().collect()
}

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub(crate) fn nfkc(text: &str) -> String {
    js_sys::JsString::from(text).normalize("NFKC").into()
}
